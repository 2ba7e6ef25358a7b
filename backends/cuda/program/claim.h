// claim.h — which nodes of a graph this device runs: each alone, and all whose types and head sizes
// its kernels are written for.
#pragma once

#include "core/abi/backend.h"
#include "core/abi/graph.h"

namespace ropewalk::cuda {

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink);

}  // namespace ropewalk::cuda
