// session.h — a case on a device, run step by step between sentinels.
//
// Each tensor has its own slice between guards of 256 bytes. Unwritten bytes are 0xff (NaN in every
// float type), so that a read of one shows in the result. run() checks that a step changed only the
// rows of its outputs and the cache entries that it may change.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/abi/backend.h"
#include "core/graph/claims.h"
#include "tests/ops/harness/case.h"

namespace ropewalk::test {

// The device does not claim a node, or lacks a type; what() says why.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Which of the device's claims a session takes: every node alone, or those that core/graph/claims.h
// chooses. Fused, a value that a step hides has no memory at all, and only what no node reads is an
// output.
enum class Steps { alone, fused };

class Session {
 public:
  // Throws Unsupported where the device refuses a node, runtime_error where a call fails or a claim
  // is not legal, logic_error where the case breaks the law of core/graph/ops.md.
  Session(const Case& description, abi::Device& device, const abi::ProgramShape& shape,
          Steps steps);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Values of an activation for the coming step; later rows stay NaN.
  void set(uint32_t tensor, std::span<const float> values);
  // Throws runtime_error where the step fails or changes what it must not.
  void run(const StepData& step);
  // Runs it without checking what changed.
  void repeat(const StepData& step);
  // The rows of an activation that the last step wrote.
  std::vector<float> get(uint32_t tensor);

  abi::DType activation_type() const { return device_.info().activation; }
  uint64_t workspace_bytes() const { return workspace_.bytes; }
  // How many nodes each step has, in order.
  std::vector<size_t> step_sizes() const;

 private:
  struct Area {  // an arena: guard, slice, guard, slice, ..., guard
    abi::Arena arena;
    abi::Buffer buffer;
    uint64_t bytes;
    std::vector<std::byte> before;  // contents as last known
  };

  void place();
  void fill();
  void compile();
  void choose_steps();
  bool is_hidden(TensorId tensor) const;
  Area& area_of(const GraphTensor& tensor);
  std::vector<std::byte> read_area(const Area& area);
  uint64_t written_bytes(TensorId tensor) const;
  void check_area(Area& area);
  void check_cache(const GraphTensor& tensor, const Area& area, std::span<const std::byte> now,
                   std::vector<bool>& may_change) const;

  abi::Device& device_;
  abi::ProgramShape shape_;
  const Steps wanted_steps_;
  Case case_;
  Graph& graph_;  // of case_
  std::vector<OwnedClaim> chosen_;
  std::vector<Area> areas_;
  abi::Program* program_ = nullptr;
  abi::Slice workspace_;
  StepData step_;
};

// Throws runtime_error with the status's message where it is not ok.
void check(const abi::Status& status, const std::string& what);

}  // namespace ropewalk::test
