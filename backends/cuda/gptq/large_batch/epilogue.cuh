// epilogue.cuh — what the epilogues behind cuBLAS and that of wgmma.cu share.
#pragma once

#include <cuda_fp16.h>

#include "backends/cuda/gptq/large_batch/epilogue.h"
#include "backends/cuda/kernel/mma.cuh"
#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda::gptq {

__device__ __forceinline__ float scale_of(XScales scales, uint32_t row) {
  return scales ? __ldg(scales + row) : kGatedScale;
}

__device__ __forceinline__ uint32_t gated_pair(float first, float second) {
  return bits_of(__floats2half2_rn(first * (1.0f / kGatedScale), second * (1.0f / kGatedScale)));
}

// As rotate(), with its cosine and sine.
__device__ __forceinline__ float2 rotate_by(const float2& rotation, const float2& pair) {
  return {pair.x * rotation.x - pair.y * rotation.y, pair.y * rotation.x + pair.x * rotation.y};
}

}  // namespace ropewalk::cuda::gptq
