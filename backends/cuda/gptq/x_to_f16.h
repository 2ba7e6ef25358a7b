// x_to_f16.h — x as f16 or bf16 for gptq/matmul_wide.cu and for cuBLAS. Stateless.
//
// K is counted in whole blocks of 32, as in the tiles of the weight. Padding is 0 in x and in the
// weight, so no kernel has to look at it twice.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/kernel/step.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda::gptq {

struct XToF16 {
  const float* x;    // (R, rows of the weight)
  std::byte* x_f16;  // (rows, padded_rows) f16 or bf16; 0 in rows beyond the step's
  float* x_scales;   // (rows) powers of two
  abi::DType dtype;
  Layout layout;
  uint32_t rows;
  Extent extent;
};
// x_f16[r] = x[r] / x_scales[r], its elements in the order of the tiles.
void x_to_f16(const XToF16& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
