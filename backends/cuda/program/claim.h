// claim.h — which nodes of a graph this device runs: those whose types and head sizes its kernels
// support, each on its own.
#pragma once

#include "core/abi/backend.h"
#include "core/abi/graph.h"

namespace ropewalk::cuda {

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink);

}  // namespace ropewalk::cuda
