// fold_permutations.h — act-order at no cost: permutations of activations move to where they are
// free.
//
// A GPTQ matmul with act-order needs its activations in the order of its sorted rows: the graph has
// an explicit permute before it. This pass removes the permutes that it can:
//
//   merge      permutes of one tensor by the same order become one (q/k/v, gate/up: verified by the
//              values of their orders, not assumed)
//   rms_norm   a norm whose only reader is a permute stores permuted (input `order`)
//   attention  the same for attention, before o_proj
//   columns    silu_mul or gelu_mul read only by a permute: its order becomes the column order of
//              the gate and up weights, and of their adapters, so that they compute in down_proj's
//              order
//
// The other permutes stay, or a device claims one together with its matmul. The graph before the
// pass computes the same and is the oracle in tests.
#pragma once

#include "core/graph/graph.h"

namespace ropewalk {

struct FoldReport {
  uint32_t permutes_before = 0;
  uint32_t permutes_after = 0;
};

FoldReport fold_permutations(Graph& graph);

}  // namespace ropewalk
