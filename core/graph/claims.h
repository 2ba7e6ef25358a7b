// claims.h — the device offers, the core judges: which claims become the steps of the program.
//
// A claim is legal when its nodes are consecutive and no other node reads a value that it hides.
// Legal claims are taken highest gain first, ties to the earlier node; every remaining node runs
// alone.
#pragma once

#include <string>
#include <vector>

#include "core/abi/backend.h"
#include "core/graph/graph.h"

namespace ropewalk {

struct OwnedClaim {
  std::vector<uint32_t> nodes;
  std::vector<uint32_t> hidden;
  float gain_us = 0;
};

// Collects a device's claims.
class ClaimList final : public abi::ClaimSink {
 public:
  void claim(const abi::Claim& claim) noexcept override;
  void refuse(uint32_t node, std::string_view reason) noexcept override;

  std::vector<OwnedClaim> claims;
  std::vector<std::pair<uint32_t, std::string>> refusals;
};

// Why a claim may not be taken; empty: legal.
std::string judge(const Graph& graph, const OwnedClaim& claim);

// The steps in execution order, each node in exactly one. Throws Error (no_device) with the
// device's reason where a node is in no legal claim; illegal claims are the device's bug and are
// left out with a warning.
std::vector<OwnedClaim> choose_steps(const Graph& graph, const ClaimList& offered,
                                     std::string_view device);

// A line a step: nodes, gain, hidden values.
std::string describe_steps(const Graph& graph, const std::vector<OwnedClaim>& steps);

}  // namespace ropewalk
