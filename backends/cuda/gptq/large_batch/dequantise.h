// dequantise.h — slices of packed weights as f16 for cuBLAS. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

struct Dequantise {
  const std::byte* weight;
  std::byte* w_f16;  // (columns, padded_rows) f16
  Layout layout;
  uint32_t first_tile, tiles;
};
void dequantise(const Dequantise& op, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
