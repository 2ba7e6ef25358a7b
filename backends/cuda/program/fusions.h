// fusions.h — runs of nodes that this backend executes as one step.
//
// Each is found by its pattern in the graph and offered only where the core could take it: nobody
// but its own nodes reads what it would not write. M stands for a matmul with a GPTQ weight.
//
//   M M .. of the same x                       one launch for all of them
//   M add, M silu_mul, M M silu_mul            the sum goes on from registers
//   rope rope kv_append                        queries and keys are turned on their way
//   M M M rope rope kv_append                  all of the above: x to the cache in one launch
#pragma once

#include "core/abi/backend.h"

namespace ropewalk::cuda {

void claim_fusions(const abi::Graph& graph, abi::ClaimSink& sink);

}  // namespace ropewalk::cuda
