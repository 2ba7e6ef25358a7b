// lean/stage.cuh — copies x of a slice to shared memory, each row scaled by one power of two, and
// computes the starts of the sums over each block of K.
#pragma once

#include <cuda_fp16.h>

#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/gptq/lean/shared_layout.h"
#include "backends/cuda/kernel/async.cuh"

namespace ropewalk::cuda::gptq {

// A thread block's shared memory.
struct LeanShared {
  std::byte *ring, *x, *starts;
  float *factors, *heads, *max_scale;  // factors and heads use the same memory, one after the other
  Barrier* barriers;

  __device__ __forceinline__ explicit LeanShared(const LeanSharedLayout& layout) {
    std::byte* all = dynamic_shared();
    ring = all;
    x = all + layout.x;
    starts = all + layout.starts;
    factors = heads = reinterpret_cast<float*>(all + layout.factors);
    barriers = reinterpret_cast<Barrier*>(all + layout.barriers);
    max_scale = reinterpret_cast<float*>(all + layout.max_scale);
  }
};

// The scale of a row in the slice: the max of its blocks.
template <uint32_t kRows>
__device__ __forceinline__ float row_scale(const LeanShared& shared, uint32_t row) {
  float max = 0.0f;
#pragma unroll
  for (uint32_t w = 0; w < kLeanWarps; ++w) max = fmaxf(max, shared.max_scale[w * kRows + row]);
  return max;
}

// Two elements of a block in units of the row's scale; what is too small for f16 becomes 0.
__device__ __forceinline__ uint32_t scaled(uint32_t pair, __half2 factor) {
  const __half2 product = __hmul2(*reinterpret_cast<const __half2*>(&pair), factor);
  return *reinterpret_cast<const uint32_t*>(&product);
}

// The start of the sums of a pair (block, row), from the sums over x that lean/x.h names.
template <Zeros kZeros>
__device__ __forceinline__ void store_start(const LeanMatmul& op, const LeanShared& shared,
                                            uint32_t pair, float all, float high) {
  const float zero = static_cast<float>(op.part[0].layout.zero);
  if constexpr (kZeros == Zeros::constant)
    reinterpret_cast<float*>(shared.starts)[pair] = 960.0f * high - (1024.0f + zero) * all;
  else
    reinterpret_cast<float2*>(shared.starts)[pair] = {-all, 960.0f * high - zero * all};
}

// Threads loop over the pairs (block, row), where i % kRows is the row, then over their elements by
// 16 bytes. Both are loaded before the first barrier, so that their latencies overlap.
template <uint32_t kRows, Zeros kZeros>
__device__ __forceinline__ void stage_x(const LeanMatmul& op, const Slice& slice,
                                        const LeanShared& shared) {
  constexpr uint32_t kSums = kMaxPairs / kLeanThreads, kVectors = kSums * 4;
  const uint32_t pairs = slice.blocks * kRows, thread = threadIdx.x;
  const XSum* sums = op.prepared.sums + uint64_t{slice.begin} * kRows;
  const auto* x_f16 =
      reinterpret_cast<const uint4*>(op.prepared.x_f16) + uint64_t{slice.begin} * kRows * 4;
  // load
  float4 sum[kSums];
  uint4 eight[kVectors];
  const auto exists = [&](uint32_t pair) { return pair < pairs && pair % kRows < op.rows; };
#pragma unroll
  for (uint32_t n = 0; n < kSums; ++n) {
    const uint32_t pair = n * kLeanThreads + thread;
    sum[n] = exists(pair) ? __ldcg(reinterpret_cast<const float4*>(sums + pair))
                          : float4{0.0f, 0.0f, 0.0f, 0.0f};
  }
#pragma unroll
  for (uint32_t n = 0; n < kVectors; ++n) {
    const uint32_t i = n * kLeanThreads + thread;
    if (exists(i / 4)) eight[n] = __ldcg(x_f16 + i);
  }
  // max scale of each row
  float max = 0.0f;
#pragma unroll
  for (uint32_t n = 0; n < kSums; ++n) max = fmaxf(max, sum[n].x);
#pragma unroll
  for (uint32_t mask = 16; mask >= kRows; mask /= 2)
    max = fmaxf(max, __shfl_xor_sync(~0u, max, mask));
  if (thread % 32 < kRows) shared.max_scale[thread / 32 * kRows + thread % 32] = max;
  __syncthreads();

  // factors and starts; 2^-24 is the smallest f16, so a smaller factor becomes 0
#pragma unroll
  for (uint32_t n = 0; n < kSums; ++n) {
    const uint32_t pair = n * kLeanThreads + thread;
    if (!exists(pair)) continue;
    const float ratio = sum[n].x * (1.0f / row_scale<kRows>(shared, pair % kRows));
    const float factor = ratio < 0x1p-24f ? 0.0f : ratio;
    shared.factors[pair] = factor;
    store_start<kZeros>(op, shared, pair, sum[n].y * factor, sum[n].z * factor);
  }
  __syncthreads();
  // bring each block to the scale of its row
#pragma unroll
  for (uint32_t n = 0; n < kVectors; ++n) {
    const uint32_t i = n * kLeanThreads + thread;
    if (!exists(i / 4)) continue;
    const __half2 factor = __float2half2_rn(shared.factors[i / 4]);
    reinterpret_cast<uint4*>(shared.x)[i] = {scaled(eight[n].x, factor), scaled(eight[n].y, factor),
                                             scaled(eight[n].z, factor),
                                             scaled(eight[n].w, factor)};
  }
  __syncthreads();
}

}  // namespace ropewalk::cuda::gptq
