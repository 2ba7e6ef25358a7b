// claim.h — which nodes of a graph this device runs: each alone, and all whose shapes and types are
// as core/graph/ops.md says.
#pragma once

#include <cstdint>
#include <string>

#include "core/abi/backend.h"
#include "core/abi/graph.h"

namespace ropewalk::cuda {

// The product of a tensor's dimensions after the first.
uint64_t row_width(const abi::Tensor& tensor);

// Why the node cannot run, in words; empty: it can.
std::string refusal(const abi::Graph& graph, const abi::Node& node);

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink);

}  // namespace ropewalk::cuda
