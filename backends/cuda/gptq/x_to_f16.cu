// x_f16[r] = x[r] / scale[r], the scale a power of two that keeps the row inside f16. Grid (rows).
// Bottleneck: memory.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/gptq/x_to_f16.h"
#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/launch.cuh"
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kRowThreads = 512;

template <class Element>
__device__ __forceinline__ Element rounded(float x);
template <>
__device__ __forceinline__ __half rounded<__half>(float x) {
  return __float2half(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 rounded<__nv_bfloat16>(float x) {
  return __float2bfloat16(x);
}

// Elements i .. i+3 of a row in the order of the tiles; 0 in the padding of blocks. i % 4 == 0.
__device__ __forceinline__ float4 four_of(const Layout& l, bool in_fours, const float* x,
                                          uint32_t i) {
  if (in_fours)
    return i < l.rows ? __ldg(reinterpret_cast<const float4*>(x + i)) : float4{0, 0, 0, 0};
  const uint32_t block = i / kBlockRows, in_block = i % kBlockRows;
  const uint32_t left = rows_of_block(l, block);
  const float* at = x + first_row(l, block) + in_block;
  return {in_block < left ? __ldg(at) : 0.0f, in_block + 1 < left ? __ldg(at + 1) : 0.0f,
          in_block + 2 < left ? __ldg(at + 2) : 0.0f, in_block + 3 < left ? __ldg(at + 3) : 0.0f};
}

__device__ __forceinline__ float max_abs(const float4& x) {
  return fmaxf(fmaxf(fabsf(x.x), fabsf(x.y)), fmaxf(fabsf(x.z), fabsf(x.w)));
}

__device__ __forceinline__ float block_max(float max) {
  __shared__ float warp_maxima[kRowThreads / 32];
  max = warp_max(max);
  if (threadIdx.x % 32 == 0) warp_maxima[threadIdx.x / 32] = max;
  __syncthreads();
  return warp_max(threadIdx.x % 32 < kRowThreads / 32 ? warp_maxima[threadIdx.x % 32] : 0.0f);
}

// A thread block a row, which reads it twice: the second time from L1. With few rows latency
// counts, so a thread's loads are issued together. Rows beyond the step's become 0, so that
// leftovers of earlier steps cannot overflow.
template <class Element>
__global__ void __launch_bounds__(kRowThreads)
    x_to_f16_kernel(const XToF16 op, const StepView step) {
  let_next_kernel_start();
  const uint32_t r = blockIdx.x, width = padded_rows(op.layout);
  const Layout& l = op.layout;
  const float* x = op.x + uint64_t{r} * l.rows;
  const bool in_fours = is_contiguous(l) && l.rows % 4 == 0;
  auto* to = reinterpret_cast<Element*>(op.x_f16) + uint64_t{r} * width;
  const bool exists = r < rows_of(step, op.extent);
  // max over the row
  float max = 0.0f;
  if (exists) {
#pragma unroll 4
    for (uint32_t i = threadIdx.x * 4; i < width; i += kRowThreads * 4)
      max = fmaxf(max, max_abs(four_of(l, in_fours, x, i)));
  }
  const float scale = power_of_two_for(block_max(max)), inverse = 1.0f / scale;
  // divide by the scale and round
#pragma unroll 4
  for (uint32_t i = threadIdx.x * 4; i < width; i += kRowThreads * 4) {
    const float4 v = exists ? four_of(l, in_fours, x, i) : float4{0, 0, 0, 0};
    alignas(8)
        const Element four[4] = {rounded<Element>(v.x * inverse), rounded<Element>(v.y * inverse),
                                 rounded<Element>(v.z * inverse), rounded<Element>(v.w * inverse)};
    const uint2 pairs = *reinterpret_cast<const uint2*>(four);
    if (op.order == XOrder::natural) {
      *reinterpret_cast<uint2*>(to + i) = pairs;
      continue;
    }
    auto* block = reinterpret_cast<uint32_t*>(to + i / kBlockRows * kBlockRows);
    block[place_of(op.order, i % kBlockRows) / 2] = pairs.x;
    block[place_of(op.order, i % kBlockRows + 2) / 2] = pairs.y;
  }
  if (threadIdx.x == 0) op.x_scales[r] = scale;
}

}  // namespace

void x_to_f16(const XToF16& op, const StepView& step, cudaStream_t stream) {
  if (op.dtype == abi::DType::bf16)
    run_kernel(x_to_f16_kernel<__nv_bfloat16>, op.rows, kRowThreads, stream, op, step);
  else
    run_kernel(x_to_f16_kernel<__half>, op.rows, kRowThreads, stream, op, step);
}

}  // namespace ropewalk::cuda::gptq
