// crossovers.h — which kernel makes a product of how many rows: the one table. Stateless.
//
// Rows are those of a program's bucket. Every limit is a doubt until it is measured on a device;
// docs/performance/cuda.md says which are.
#pragma once

#include <cstdint>

#include "core/abi/weight.h"

namespace ropewalk::cuda {

enum class Way {
  lean,         // gptq/lean/matmul.cu: up to 8 rows and weights with small headers (gptq/layout.h)
  tiles_of_8,   // gptq/matmul.cu: packed weights on tensor cores, 8 rows of x at a time
  tiles_of_16,  // gptq/matmul_wide.cu: the same with 16, and x as f16 beforehand
  tiles_of_32,
  tiles_of_64,
  vector,  // ops/dense_matmul.cu: a warp a column
  cublas,  // long_product.h: weights and x as f16
};

// Whether there is a library for long products on this machine; Turing has no products of bf16.
enum class LongProducts { packed, cublas_without_bf16, cublas };

struct Crossover {
  bool quantised;
  uint32_t most_rows;
  Way way;
};

// The first row that fits counts; beyond the last, and for f32 weights, cuBLAS is not asked.
//
// Packed weights: the fewer rows are padded the better, until 64, when the tensor cores and not the
// codes are the limit (gptq/matmul_wide.cu counts both). From 129 rows a third pass over the codes
// would cost more than making them f16, 4 bytes written and read for each, which stays in cache.
// Dense weights: ops/dense_matmul.cu waits for memory up to 6 rows and reaches 3/4 of it at 8;
// cuBLAS adds two launches, of some 2 us each, to the 76 us of 13B's lm_head on an H200, and rounds
// x to the weights' type.
inline constexpr Crossover kCrossovers[] = {
    {true, 8, Way::lean},          {true, 16, Way::tiles_of_16}, {true, 32, Way::tiles_of_32},
    {true, 128, Way::tiles_of_64}, {true, ~0u, Way::cublas},     {false, 8, Way::vector},
    {false, ~0u, Way::cublas},
};

// Rows of a program, and blocks of rows of a packed product, at most.
inline constexpr uint32_t kMostRows = 512, kMostRowBlocks = kMostRows / 64;

// Rows of x that a packed product takes at a time.
inline uint32_t row_block_of(Way way) {
  switch (way) {
    case Way::lean:
    case Way::tiles_of_8:
      return 8;
    case Way::tiles_of_16:
      return 16;
    case Way::tiles_of_32:
      return 32;
    default:
      return 64;
  }
}

inline Way way_of(abi::DType weight, uint32_t rows, LongProducts long_products) {
  const bool quantised = weight == abi::DType::gptq;
  const Way otherwise = quantised ? Way::tiles_of_64 : Way::vector;
  for (const Crossover& row : kCrossovers) {
    if (row.quantised != quantised || rows > row.most_rows) continue;
    if (row.way != Way::cublas) return row.way;
    const bool there =
        long_products == LongProducts::cublas ||
        (long_products == LongProducts::cublas_without_bf16 && weight != abi::DType::bf16);
    return there && weight != abi::DType::f32 ? Way::cublas : otherwise;
  }
  return otherwise;
}

}  // namespace ropewalk::cuda
