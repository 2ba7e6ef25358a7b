// dequantise.h — slices of packed weights as f16 for cuBLAS, and the epilogue of its sums.
// Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/product.h"

namespace ropewalk::cuda::gptq {

struct Dequantise {
  const std::byte* weight;
  std::byte* w_f16;  // (columns, padded_rows) f16
  Layout layout;
  uint32_t first_tile, tiles;
};
void dequantise(const Dequantise& op, cudaStream_t stream);

// Columns [first, first + columns) of a result whose rows have `cols`.
struct Finish {
  // (rows, columns) each, a row every `pitch`; the second of silu_mul with two parts, or null
  const float* sums[2];
  uint64_t pitch;
  const float* bias[2];   // (cols) or null
  const float* x_scales;  // (rows)
  const float* other;     // (R, cols) or null
  float* y;               // (R, cols)
  Epilogue epilogue;      // none, add or silu_mul
  uint32_t first, columns, cols, rows;
  Extent extent;
};
// With p = sums * x_scales[r] + bias: y = p, other + p, silu(other) * p or silu(p0) * p1.
void finish(const Finish& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
