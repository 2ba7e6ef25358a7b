// dequantise.h — what surrounds products of more than a few rows: x as f16 or bf16, for
// gptq/matmul_wide.cu too; for cuBLAS slices of weights as f16, and what is done to the sums.
//
// K is counted in whole blocks of 32 here, as the tiles are: what fills a block up is 0 in both, so
// no row or column has to be looked at twice. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/product.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda::gptq {

struct HalfRows {
  const float* x;     // (R, rows of the weight)
  std::byte* halves;  // (rows, padded_rows) f16 or bf16, rows beyond the step's 0
  float* scales;      // (rows) powers of two
  abi::DType dtype;
  Layout layout;
  uint32_t rows;
  Extent extent;
};
// halves[r] = x[r] / scales[r] in the order of the tiles.
void half_rows(const HalfRows& op, const StepView& step, cudaStream_t stream);

struct Dequantise {
  const std::byte* weight;
  std::byte* halves;  // (columns, padded_rows) f16
  Layout layout;
  uint32_t first_tile, tiles;
};
void dequantise(const Dequantise& op, cudaStream_t stream);

// Columns [first, first + columns) of a result whose rows have `cols`.
struct Finish {
  const float* sums[2];  // (rows, columns) each; the second of silu_mul with two parts, or null
  const float* bias[2];  // (cols) or null
  const float* scales;   // (rows)
  const float* other;    // (R, cols) or null
  float* y;              // (R, cols)
  Epilogue epilogue;     // none, add or silu_mul
  uint32_t first, columns, cols, rows;
  Extent extent;
};
// With p = sums * scales[r] + bias: y = p, other + p, silu(other) * p or silu(p0) * p1.
void finish(const Finish& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
