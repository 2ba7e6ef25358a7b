// crossovers.h — which kernel computes a product of so many rows: the one table. Stateless.
//
// Rows are those of a program's bucket. Every limit is a doubt until it is measured on a device;
// docs/performance/cuda.md says which have been.
#pragma once

#include <cstdint>
#include <span>

#include "backends/cuda/device/target.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda {

enum class MatmulKernel {
  lean,         // gptq/lean: up to 64 rows and weights with small headers (gptq/layout.h)
  tiles_of_8,   // gptq/matmul.cu: packed weights on tensor cores, 8 rows of x at a time
  tiles_of_16,  // gptq/matmul_wide.cu: the same with 16 rows, and x made f16 beforehand
  tiles_of_32,
  tiles_of_64,
  vector,  // ops/dense_matmul.cu: a warp a column
  cublas,  // large_batch/matmul.h: weights and x as f16
};

struct Crossover {
  bool quantised;
  uint32_t Tuning::*max_rows;  // null: any
  MatmulKernel kernel;
};

// The first row that fits counts. f32 weights never go to cuBLAS.
//
// Packed weights: the fewer rows of padding the better, up to 64; then the tensor cores are the
// limit and not the codes (gptq/matmul_wide.cu counts both). From 129 rows on, a third pass over
// the codes would cost more than making them f16, which writes and reads 4 bytes a code, within the
// cache. Dense weights: ops/dense_matmul.cu is limited by memory up to 6 rows and reaches 3/4 of it
// at 8. cuBLAS adds two launches of some 2 us each to the 76 us of 13B's lm_head on an H200, and
// rounds x to the type of the weights.
inline constexpr Crossover kCrossovers[] = {
    {true, &Tuning::lean_rows, MatmulKernel::lean},
    {true, &Tuning::tiles8_rows, MatmulKernel::tiles_of_8},
    {true, &Tuning::tiles16_rows, MatmulKernel::tiles_of_16},
    {true, &Tuning::tiles32_rows, MatmulKernel::tiles_of_32},
    {true, &Tuning::tiles64_rows, MatmulKernel::tiles_of_64},
    {true, nullptr, MatmulKernel::cublas},
    {false, &Tuning::dense_rows, MatmulKernel::vector},
    {false, nullptr, MatmulKernel::cublas},
};

// Max rows of a program, and max blocks of rows of a packed product.
inline constexpr uint32_t kMaxRows = 2048, kMaxRowBlocks = kMaxRows / 8;

// The widest step that is worth a program on a device. Wide steps make the weights f16 less often:
// for 512 rows that takes half as long as the products themselves on an H200. But no reply comes
// while a step runs, so a smaller device keeps to 512 rows: 2048 of 13B are 0.1 s at 470 TFLOP/s.
inline uint32_t widest_step(uint32_t multiprocessors, const Tuning& tuning) {
  constexpr uint32_t kLarge = 100;
  if (tuning.max_rows) return tuning.max_rows;
  return multiprocessors >= kLarge ? kMaxRows : 512;
}

// Rows of x that a packed product takes at a time.
inline uint32_t row_block_of(MatmulKernel kernel) {
  switch (kernel) {
    case MatmulKernel::lean:
    case MatmulKernel::tiles_of_8:
      return 8;
    case MatmulKernel::tiles_of_16:
      return 16;
    case MatmulKernel::tiles_of_32:
      return 32;
    default:
      return 64;
  }
}

// The kernel of the table, or the one that the option `matvec` forces.
inline MatmulKernel packed_kernel(MatmulKernel otherwise, PackedChoice choice) {
  switch (choice) {
    case PackedChoice::automatic:
      break;
    case PackedChoice::tiles8:
      return MatmulKernel::tiles_of_8;
    case PackedChoice::tiles16:
      return MatmulKernel::tiles_of_16;
    case PackedChoice::tiles32:
      return MatmulKernel::tiles_of_32;
    case PackedChoice::tiles64:
      return MatmulKernel::tiles_of_64;
  }
  return otherwise;
}

inline MatmulKernel first_kernel(std::span<const Crossover> table, abi::DType weight, uint32_t rows,
                                 const Target& target) {
  const bool quantised = weight == abi::DType::gptq;
  const PackedChoice choice = target.choices.packed;
  if (target.batch_invariant())
    return quantised ? packed_kernel(MatmulKernel::tiles_of_8, choice) : MatmulKernel::vector;
  const MatmulKernel otherwise =
      quantised ? packed_kernel(MatmulKernel::tiles_of_64, choice) : MatmulKernel::vector;
  for (const Crossover& row : table) {
    if (row.quantised != quantised) continue;
    if (row.max_rows && rows > target.tuning().*row.max_rows) continue;
    if (row.kernel != MatmulKernel::cublas)
      return quantised ? packed_kernel(row.kernel, choice) : row.kernel;
    const bool available = target.large_batch == LargeBatchLibrary::cublas ||
                           (target.large_batch == LargeBatchLibrary::cublas_without_bf16 &&
                            weight != abi::DType::bf16);
    return available && weight != abi::DType::f32 ? MatmulKernel::cublas : otherwise;
  }
  return otherwise;
}

inline MatmulKernel kernel_for(abi::DType weight, uint32_t rows, const Target& target) {
  return first_kernel(kCrossovers, weight, rows, target);
}
// What multiplies packed weights that lean cannot read: those with other headers.
inline MatmulKernel kernel_without_lean(uint32_t rows, const Target& target) {
  static_assert(kCrossovers[0].kernel == MatmulKernel::lean);
  return first_kernel(std::span(kCrossovers).subspan(1), abi::DType::gptq, rows, target);
}

}  // namespace ropewalk::cuda
