// fusions.h — runs of nodes that this backend executes as one step.
//
// Each is found by its pattern in the graph. It is offered only where the core may take it: no
// other node reads the values that it does not write. M stands for a matmul with a GPTQ weight.
//
//   M M .. of the same x                       one launch for all of them
//   M add, M silu_mul, M M silu_mul            the epilogue takes the sums from registers
//   M M gelu_mul                               the same
//   rope rope kv_append                        rotated keys go straight to the cache
//   M M M rope rope kv_append                  all of the above: from x to the cache in one launch
#pragma once

#include "backends/cuda/device/target.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

// With Batches::invariant products stay alone: in a step with adapters other nodes follow them, and
// K is divided by the tiles of a launch.
void claim_fusions(const abi::Graph& graph, Batches batches, abi::ClaimSink& sink);

}  // namespace ropewalk::cuda
