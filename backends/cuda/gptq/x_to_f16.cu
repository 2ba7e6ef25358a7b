// x_f16[r] = x[r] / scale[r], the scale a power of two that keeps the row inside f16. Grid (rows).
// Bottleneck: memory, 6 bytes an element.
//
// fold_to_f16() also computes x: m[j] weight[j] of an rms_norm, j = order[i], or from[j] alone. It
// replaces rms_norm or permute in front of x_to_f16, which move 8 bytes an element: 6 for 14, or 4
// where attention left f16.
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
__device__ __forceinline__ float scale_for(XRange range, float max) {
  return power_of_two_for(max) * (range == XRange::sums_in_f16 ? 0x1p14f : 1.0f);
}

// Elements i .. i+3 of a row, in the order of the tiles, to their places.
template <class Element>
__device__ __forceinline__ void store_rounded(Element* row, XOrder order, uint32_t i,
                                              const float4& v) {
  alignas(8) const Element four[4] = {rounded<Element>(v.x), rounded<Element>(v.y),
                                      rounded<Element>(v.z), rounded<Element>(v.w)};
  const uint2 pairs = *reinterpret_cast<const uint2*>(four);
  if (order == XOrder::natural) {
    *reinterpret_cast<uint2*>(row + i) = pairs;
    return;
  }
  auto* block = reinterpret_cast<uint32_t*>(row + i / kBlockRows * kBlockRows);
  block[place_of(order, i % kBlockRows) / 2] = pairs.x;
  block[place_of(order, i % kBlockRows + 2) / 2] = pairs.y;
}

__device__ __forceinline__ void store_rotations(const Rotations& rotations, const StepView& step,
                                                uint32_t r) {
  if (!rotations.to) return;
  const float position = static_cast<float>(step.position[r]);
  const float* inv_freq = step.inv_freq + uint64_t{step.sequence[r]} * step.rope_pairs;
  for (uint32_t i = threadIdx.x; i < rotations.pairs; i += kRowThreads)
    rotations.to[uint64_t{r} * rotations.pairs + i] =
        rotate(1.0f, 0.0f, position, inv_freq[i], rotations.scale);
}

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
  const float scale = scale_for(op.range, block_max(max)), inverse = 1.0f / scale;
  // divide by the scale and round
#pragma unroll 4
  for (uint32_t i = threadIdx.x * 4; i < width; i += kRowThreads * 4) {
    const float4 v = exists ? four_of(l, in_fours, x, i) : float4{0, 0, 0, 0};
    store_rounded(to, op.order, i,
                  float4{v.x * inverse, v.y * inverse, v.z * inverse, v.w * inverse});
  }
  if (threadIdx.x == 0) op.x_scales[r] = scale;
  if (exists) store_rotations(op.rotations, step, r);
}

__device__ __forceinline__ float number(const float* from) { return __ldg(from); }
__device__ __forceinline__ float number(const __half* from) {
  return __half2float(__ldg(from)) * kHalfYScale;
}

// A thread block a row, which it keeps in shared memory: an order may take any element of it.
template <class From>
__global__ void __launch_bounds__(kRowThreads)
    fold_to_f16_kernel(const XToF16 op, const FoldedX x, const StepView step) {
  const uint32_t r = blockIdx.x, width = padded_rows(op.layout);
  const Layout& l = op.layout;
  auto* row = reinterpret_cast<float*>(dynamic_shared());
  auto* to = reinterpret_cast<__half*>(op.x_f16) + uint64_t{r} * width;
  const bool exists = r < rows_of(step, op.extent);
  // weigh; max and squares over the row
  float max = 0.0f, squares = 0.0f;
  if (exists) {
    const From* from = reinterpret_cast<const From*>(x.from) + uint64_t{r} * l.rows;
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < l.rows; i += kRowThreads) {
      const float value = number(from + i);
      squares += value * value;
      row[i] = x.weight ? value * __ldg(x.weight + i) : value;
      max = fmaxf(max, fabsf(row[i]));
    }
  }
  const float mean = block_sum(squares) / static_cast<float>(l.rows);
  const float factor = x.weight ? 1.0f / sqrtf(mean + x.epsilon) : 1.0f;
  const float scale = scale_for(op.range, block_max(max * factor)),
              to_f16 = factor * (1.0f / scale);
  // reorder, scale and round
  const bool contiguous = is_contiguous(l);
  const auto element = [&](uint32_t i) {
    const uint32_t block = i / kBlockRows, in_block = i % kBlockRows;
    if (!exists || (contiguous ? i >= l.rows : in_block >= rows_of_block(l, block))) return 0.0f;
    const uint32_t k = contiguous ? i : first_row(l, block) + in_block;
    return row[x.order ? static_cast<uint32_t>(__ldg(x.order + k)) : k] * to_f16;
  };
  for (uint32_t i = threadIdx.x * 4; i < width; i += kRowThreads * 4)
    store_rounded(to, op.order, i,
                  float4{element(i), element(i + 1), element(i + 2), element(i + 3)});
  if (threadIdx.x == 0) op.x_scales[r] = scale;
  if (exists) store_rotations(op.rotations, step, r);
}

}  // namespace

void x_to_f16(const XToF16& op, const StepView& step, cudaStream_t stream) {
  if (op.dtype == abi::DType::bf16)
    run_kernel(x_to_f16_kernel<__nv_bfloat16>, op.rows, kRowThreads, stream, op, step);
  else
    run_kernel(x_to_f16_kernel<__half>, op.rows, kRowThreads, stream, op, step);
}

void fold_to_f16(const XToF16& op, const FoldedX& x, const StepView& step, cudaStream_t stream) {
  const LaunchShape shape{dim3(op.rows), kRowThreads, fold_bytes(op.layout), Start::after, stream};
  if (x.is_half)
    run_kernel_in(fold_to_f16_kernel<__half>, shape, op, x, step);
  else
    run_kernel_in(fold_to_f16_kernel<float>, shape, op, x, step);
}

}  // namespace ropewalk::cuda::gptq
