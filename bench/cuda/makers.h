// makers.h — makes the chains that kernels.h lists. Each throws Failure (out_of_memory).
//
// Bytes of a step are the packed weights, the cache, and what the kernels of a step take from the
// step before and leave to the next, each once; what they pass to each other is counted as if each
// were a step of its own.
#pragma once

#include "bench/cuda/kernels.h"
#include "tests/ops/harness/stored_weight.h"

namespace ropewalk::cuda::bench {

// What is in front of a step's products, and their epilogue. The norm has act-order's permutation.
enum class Front { none, norm };
enum class End { none, add, silu_mul, append };

// `count` products of one x, as many as `end` takes; for `append` those of queries, keys and
// values.
struct ProductSizes {
  uint32_t depth, width, count;
  Front front;
  End end;
};
Kernel make_products(Machine& machine, const Sizes& sizes, const ProductSizes& product);
// The norm, gate and up, then down and the residual: x of down is passed on as the kernels do.
Kernel make_norm_mlp(Machine& machine, const Sizes& sizes);

Kernel make_embed(Machine& machine, const Sizes& sizes);
Kernel make_norm(Machine& machine, const Sizes& sizes);
Kernel make_lm_head(Machine& machine, const Sizes& sizes);
// The end of a program: rows are selected, the norm, lm_head, the largest logits. One step, since
// only a program that ends with logits looks for the largest.
Kernel make_logits(Machine& machine, const Sizes& sizes);

Kernel make_attention(Machine& machine, const Sizes& sizes, abi::DType cache);
// Attention with act-order's permutation of its output, then o and the residual.
Kernel make_attention_o(Machine& machine, const Sizes& sizes);

// Weights of the reference format.
test::StoredWeight random_packed(uint32_t depth, uint32_t width, test::Random& random);
// Samples of the first and the last row.
std::vector<Sample> samples_of(uint32_t rows, uint32_t width,
                               const std::function<double(uint32_t, uint32_t)>& truth);

}  // namespace ropewalk::cuda::bench
