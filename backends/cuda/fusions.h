// fusions.h — runs of nodes that this backend executes as one step.
//
// Each is found by its pattern in the graph and offered only where the core could take it: nobody
// but its own nodes reads what it would not write.
#pragma once

#include "core/abi/backend.h"

namespace ropewalk::cuda {

// rope + rope + kv_append: queries and keys are turned on their way.
void claim_fusions(const abi::Graph& graph, abi::ClaimSink& sink);

}  // namespace ropewalk::cuda
