// lean/stage.cuh — x of a slice on its way to shared memory: each row by one power of two, and
// where the sums over each block of K begin.
#pragma once

#include <cuda_fp16.h>

#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/gptq/lean/room.h"
#include "backends/cuda/kernel/async.cuh"

namespace ropewalk::cuda::gptq {

// A thread block's shared memory.
struct LeanShared {
  std::byte *ring, *x, *starts;
  float *factors, *heads, *largest;  // the first two in the same place, one after the other
  Barrier* barriers;

  __device__ __forceinline__ explicit LeanShared(const LeanRoom& room) {
    std::byte* all = dynamic_shared();
    ring = all;
    x = all + room.x;
    starts = all + room.starts;
    factors = heads = reinterpret_cast<float*>(all + room.factors);
    barriers = reinterpret_cast<Barrier*>(all + room.barriers);
    largest = reinterpret_cast<float*>(all + room.largest);
  }
};

// The scale of a row in the slice: the largest of its blocks'.
template <uint32_t kRows>
__device__ __forceinline__ float row_scale(const LeanShared& shared, uint32_t row) {
  float most = 0.0f;
#pragma unroll
  for (uint32_t w = 0; w < kLeanWarps; ++w) most = fmaxf(most, shared.largest[w * kRows + row]);
  return most;
}

// Halves of a block that are brought to the row's scale: 0 where all that is left of them is below
// what f16 has.
__device__ __forceinline__ uint32_t scaled(uint32_t pair, __half2 factor) {
  const __half2 product = __hmul2(*reinterpret_cast<const __half2*>(&pair), factor);
  return *reinterpret_cast<const uint32_t*>(&product);
}

// Threads go over the pairs (block, row), of which `i % kRows` is the row, then over their halves
// by 16 bytes; both are loaded before the first meeting, so that they wait for memory together.
template <uint32_t kRows, Zeros kZeros>
__device__ __forceinline__ void stage_x(const LeanMatmul& op, const Slice& slice,
                                        const LeanShared& shared) {
  constexpr uint32_t kSums = kMostPairs / kLeanThreads, kHalves = kSums * 4;
  const uint32_t pairs = slice.blocks * kRows, thread = threadIdx.x;
  const XSum* sums = op.prepared.sums + uint64_t{slice.begin} * kRows;
  const auto* halves =
      reinterpret_cast<const uint4*>(op.prepared.halves) + uint64_t{slice.begin} * kRows * 4;
  float4 sum[kSums];
  uint4 eight[kHalves];
  const auto is_there = [&](uint32_t pair) { return pair < pairs && pair % kRows < op.rows; };
#pragma unroll
  for (uint32_t n = 0; n < kSums; ++n) {
    const uint32_t pair = n * kLeanThreads + thread;
    sum[n] = is_there(pair) ? __ldcg(reinterpret_cast<const float4*>(sums + pair))
                            : float4{0.0f, 0.0f, 0.0f, 0.0f};
  }
#pragma unroll
  for (uint32_t n = 0; n < kHalves; ++n) {
    const uint32_t i = n * kLeanThreads + thread;
    if (is_there(i / 4)) eight[n] = __ldcg(halves + i);
  }
  float most = 0.0f;
#pragma unroll
  for (uint32_t n = 0; n < kSums; ++n) most = fmaxf(most, sum[n].x);
#pragma unroll
  for (uint32_t mask = 16; mask >= kRows; mask /= 2)
    most = fmaxf(most, __shfl_xor_sync(~0u, most, mask));
  if (thread % 32 < kRows) shared.largest[thread / 32 * kRows + thread % 32] = most;
  __syncthreads();

  // 2^-24 is the smallest factor of f16; what a smaller one would leave counts as nothing.
#pragma unroll
  for (uint32_t n = 0; n < kSums; ++n) {
    const uint32_t pair = n * kLeanThreads + thread;
    if (!is_there(pair)) continue;
    const float ratio = sum[n].x * (1.0f / row_scale<kRows>(shared, pair % kRows));
    const float factor = ratio < 0x1p-24f ? 0.0f : ratio;
    const float all = sum[n].y * factor, high = sum[n].z * factor;
    const float zero = static_cast<float>(op.part[0].layout.zero);
    shared.factors[pair] = factor;
    if constexpr (kZeros == Zeros::constant)
      reinterpret_cast<float*>(shared.starts)[pair] = 960.0f * high - (1024.0f + zero) * all;
    else
      reinterpret_cast<float2*>(shared.starts)[pair] = {-all, 960.0f * high - zero * all};
  }
  __syncthreads();
#pragma unroll
  for (uint32_t n = 0; n < kHalves; ++n) {
    const uint32_t i = n * kLeanThreads + thread;
    if (!is_there(i / 4)) continue;
    const __half2 factor = __float2half2_rn(shared.factors[i / 4]);
    reinterpret_cast<uint4*>(shared.x)[i] = {scaled(eight[n].x, factor), scaled(eight[n].y, factor),
                                             scaled(eight[n].z, factor),
                                             scaled(eight[n].w, factor)};
  }
  __syncthreads();
}

}  // namespace ropewalk::cuda::gptq
