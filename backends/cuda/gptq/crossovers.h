// crossovers.h — which kernel makes a product of how many rows: the one table. Stateless.
//
// Rows are those of a program's bucket. Every limit is a doubt until it is measured on a device;
// docs/performance/cuda.md says which are.
#pragma once

#include <cstdint>

#include "backends/cuda/device/target.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda {

enum class ProductKernel {
  lean,         // gptq/lean/matmul.cu: up to 8 rows and weights with small headers (gptq/layout.h)
  tiles_of_8,   // gptq/matmul.cu: packed weights on tensor cores, 8 rows of x at a time
  tiles_of_16,  // gptq/matmul_wide.cu: the same with 16, and x as f16 beforehand
  tiles_of_32,
  tiles_of_64,
  vector,  // ops/dense_matmul.cu: a warp a column
  cublas,  // large_batch/matmul.h: weights and x as f16
};

struct Crossover {
  bool quantised;
  uint32_t Tuning::*most_rows;  // null: any
  ProductKernel kernel;
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
    {true, &Tuning::lean_rows, ProductKernel::lean},
    {true, &Tuning::tiles8_rows, ProductKernel::tiles_of_8},
    {true, &Tuning::tiles16_rows, ProductKernel::tiles_of_16},
    {true, &Tuning::tiles32_rows, ProductKernel::tiles_of_32},
    {true, &Tuning::tiles64_rows, ProductKernel::tiles_of_64},
    {true, nullptr, ProductKernel::cublas},
    {false, &Tuning::dense_rows, ProductKernel::vector},
    {false, nullptr, ProductKernel::cublas},
};

// Rows of a program, and blocks of rows of a packed product, at most.
inline constexpr uint32_t kMostRows = 512, kMostRowBlocks = kMostRows / 8;

// Rows of x that a packed product takes at a time.
inline uint32_t row_block_of(ProductKernel kernel) {
  switch (kernel) {
    case ProductKernel::lean:
    case ProductKernel::tiles_of_8:
      return 8;
    case ProductKernel::tiles_of_16:
      return 16;
    case ProductKernel::tiles_of_32:
      return 32;
    default:
      return 64;
  }
}

// What the option `matvec` asks for instead of the kernel of the table.
inline ProductKernel packed_kernel(ProductKernel otherwise, PackedChoice choice) {
  switch (choice) {
    case PackedChoice::automatic:
      break;
    case PackedChoice::tiles8:
      return ProductKernel::tiles_of_8;
    case PackedChoice::tiles16:
      return ProductKernel::tiles_of_16;
    case PackedChoice::tiles32:
      return ProductKernel::tiles_of_32;
    case PackedChoice::tiles64:
      return ProductKernel::tiles_of_64;
  }
  return otherwise;
}

inline ProductKernel kernel_for(abi::DType weight, uint32_t rows, const Target& target) {
  const bool quantised = weight == abi::DType::gptq;
  const PackedChoice choice = target.choices.packed;
  const ProductKernel otherwise =
      quantised ? packed_kernel(ProductKernel::tiles_of_64, choice) : ProductKernel::vector;
  for (const Crossover& row : kCrossovers) {
    if (row.quantised != quantised) continue;
    if (row.most_rows && rows > target.tuning().*row.most_rows) continue;
    if (row.kernel != ProductKernel::cublas)
      return quantised ? packed_kernel(row.kernel, choice) : row.kernel;
    const bool there =
        target.long_products == LongProducts::cublas ||
        (target.long_products == LongProducts::cublas_without_bf16 && weight != abi::DType::bf16);
    return there && weight != abi::DType::f32 ? ProductKernel::cublas : otherwise;
  }
  return otherwise;
}

}  // namespace ropewalk::cuda
