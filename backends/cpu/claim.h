// claim.h — claims each node alone, if the kernels support its types and its head size.
#pragma once

#include "core/abi/backend.h"
#include "core/abi/graph.h"

namespace ropewalk::cpu {

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink);

}  // namespace ropewalk::cpu
