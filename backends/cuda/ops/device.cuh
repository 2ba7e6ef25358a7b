// device.cuh — what the kernels of several ops share: rows of a step, stored types, reductions.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "backends/cuda/kernel/launch.cuh"
#include "backends/cuda/ops/ops.h"

namespace ropewalk::cuda {

inline constexpr uint32_t kThreads = 256;

inline uint32_t blocks_for(uint32_t width) { return (width + kThreads - 1) / kThreads; }

__device__ __forceinline__ uint32_t rows_of(const StepView& step, Extent extent) {
  return step.counts[static_cast<uint32_t>(extent)];
}

// The rows before this one belong to sequences with several rows in the step (abi::Step).
__device__ __forceinline__ uint32_t prompt_rows_of(const StepView& step) { return step.counts[2]; }

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ __forceinline__ float warp_sum(float x) {
  for (uint32_t mask = 16; mask; mask /= 2) x += __shfl_xor_sync(~0u, x, mask);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
  for (uint32_t mask = 16; mask; mask /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, mask));
  return x;
}

// The sum over a thread block of whole warps, the same in every thread; warps are added in order.
__device__ __forceinline__ float block_sum(float x) {
  __shared__ float sums[32];
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0.0f;
  for (uint32_t w = 0; w < blockDim.x / 32; ++w) sum += sums[w];
  return sum;
}

// silu(x) = x / (1 + exp(-x)); gelu, in the form with tanh, has 2 sqrt(2 / pi) (x + 0.044715 x^3)
// in the exponent.
__device__ __forceinline__ float activated(Activation activation, float x) {
  const float z =
      activation == Activation::silu ? x : 1.5957691216057308f * (x + 0.044715f * x * x * x);
  return x / (1.0f + expf(-z));
}

// A pair of a head, rotated by the angle position * inv_freq, as ops.md says of rope.
__device__ __forceinline__ float2 rotate(float first, float second, float position, float inv_freq,
                                         float scale) {
  if (inv_freq == 0.0f) return {first, second};
  float sine, cosine;
  sincosf(position * inv_freq, &sine, &cosine);
  sine *= scale;
  cosine *= scale;
  return {first * cosine - second * sine, second * cosine + first * sine};
}

}  // namespace ropewalk::cuda
