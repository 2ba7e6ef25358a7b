// lean/fold.cuh — stages an x of one row that the product itself computes from f32 (lean/x.h:
// FoldedX): a norm, an order, or both.
//
//   while earlier kernels run   the thread's part of order and weight, which no kernel writes
//   then                        the row to shared memory, and the sum of its squares
//                               the thread's elements from there, and their max
//                               f16 in units of the row's scale, and the starts of the sums
//
// Every thread block does this, for the elements of its slice. The row is read from the
// second-level cache, 20 KB for a depth of 5120; a kernel of its own would cost a launch, during
// which nothing streams once the rings are full. The factor of the norm is part of the row's scale,
// so it meets the sums at their end.
#pragma once

#include <cuda_fp16.h>

#include "backends/cuda/gptq/lean/stage.cuh"
#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda::gptq {

// A thread has 4 neighbouring elements a round; 8 lanes have a block of K.
inline constexpr uint32_t kFoldedRounds = kMaxFoldedDepth / (kLeanThreads * 4);

// Where the thread's elements lie in the row, and what multiplies them: 0 beyond the slice.
class FoldedElements {
 public:
  __device__ __forceinline__ FoldedElements(const LeanMatmul& op, const Slice& slice) {
    const uint32_t first = slice.begin * kBlockRows;
    const uint32_t end = min(first + slice.blocks * kBlockRows, op.part[0].layout.rows);
#pragma unroll
    for (uint32_t n = 0; n < kFoldedRounds; ++n) {
      places_[n][0] = places_[n][1] = 0;
      weights_[n] = {0.0f, 0.0f, 0.0f, 0.0f};
      if (const uint32_t k = first + element(n); k < end) load(op.folded, n, k);
    }
  }

  // The thread's first element in a round, counted from the start of the slice, or of the row.
  static __device__ __forceinline__ uint32_t element(uint32_t round) {
    return (round * kLeanThreads + threadIdx.x) * 4;
  }
  __device__ __forceinline__ float4 of(const float* row, uint32_t round) const {
    const uint32_t low = places_[round][0], high = places_[round][1];
    const float4& w = weights_[round];
    return {row[low & 0xffff] * w.x, row[low >> 16] * w.y, row[high & 0xffff] * w.z,
            row[high >> 16] * w.w};
  }

 private:
  __device__ __forceinline__ void load(const FoldedX& x, uint32_t n, uint32_t k) {
    uint4 at = {k, k + 1, k + 2, k + 3};
    if (x.order) at = __ldg(reinterpret_cast<const uint4*>(x.order + k));
    places_[n][0] = at.x | at.y << 16;
    places_[n][1] = at.z | at.w << 16;
    weights_[n] = {1.0f, 1.0f, 1.0f, 1.0f};
    if (x.weight)
      weights_[n] = {__ldg(x.weight + at.x), __ldg(x.weight + at.y), __ldg(x.weight + at.z),
                     __ldg(x.weight + at.w)};
  }

  uint32_t places_[kFoldedRounds][2];  // two of 16 bits a word
  float4 weights_[kFoldedRounds];
};

__device__ __forceinline__ float largest(const float4& x) {
  return fmaxf(fmaxf(fabsf(x.x), fabsf(x.y)), fmaxf(fabsf(x.z), fabsf(x.w)));
}

// Copies the row to shared memory. Returns the thread's part of the sum of squares.
__device__ __forceinline__ float copy_row(const float* from, uint32_t depth, float* row) {
  float4 four[kFoldedRounds];
#pragma unroll
  for (uint32_t n = 0; n < kFoldedRounds; ++n)
    if (const uint32_t i = FoldedElements::element(n); i < depth)
      four[n] = __ldcg(reinterpret_cast<const float4*>(from + i));
  float squares = 0.0f;
#pragma unroll
  for (uint32_t n = 0; n < kFoldedRounds; ++n)
    if (const uint32_t i = FoldedElements::element(n); i < depth) {
      const float4& v = four[n];
      *reinterpret_cast<float4*>(row + i) = v;
      squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
  return squares;
}

// Stores 4 elements in units of the scale, and the start of the sums over their block of K. As in
// lean/x.h the elements 2 and 3 of 4 are divided by 16. REQUIRES: all lanes of the warp.
template <Zeros kZeros>
__device__ __forceinline__ void store_four(const LeanMatmul& op, const float4& x, float inverse,
                                           uint32_t at, bool exists, const LeanShared& shared) {
  const __half2 pairs[2] = {__floats2half2_rn(x.x * inverse, x.y * inverse),
                            __floats2half2_rn(x.z * inverse * 0.0625f, x.w * inverse * 0.0625f)};
  const float2 low = __half22float2(pairs[0]), divided = __half22float2(pairs[1]);
  float high = 16.0f * (divided.x + divided.y), all = low.x + low.y + high;
#pragma unroll
  for (uint32_t mask = 1; mask < 8; mask *= 2) {
    all += __shfl_xor_sync(~0u, all, mask);
    high += __shfl_xor_sync(~0u, high, mask);
  }
  if (!exists) return;
  reinterpret_cast<uint2*>(shared.x)[at / 4] = {*reinterpret_cast<const uint32_t*>(&pairs[0]),
                                                *reinterpret_cast<const uint32_t*>(&pairs[1])};
  if (at % kBlockRows == 0) store_start<kZeros>(op, shared, at / kBlockRows, all, high);
}

template <Zeros kZeros>
__device__ __forceinline__ void stage_folded(const LeanMatmul& op, const Slice& slice,
                                             const FoldedElements& mine, const LeanShared& shared) {
  const uint32_t depth = op.part[0].layout.rows, warp = threadIdx.x / 32;
  float *row = reinterpret_cast<float*>(shared.x), *scales = shared.max_scale;
  float *squares = scales + kLeanWarps, *maxima = squares + kLeanWarps;  // of the warps
  const float of_warp = warp_sum(copy_row(op.folded.from, depth, row));
  if (threadIdx.x % 32 == 0) squares[warp] = of_warp;
  __syncthreads();
  // the thread's elements, and the max of all
  float4 four[kFoldedRounds];
  float max = 0.0f;
#pragma unroll
  for (uint32_t n = 0; n < kFoldedRounds; ++n) {
    four[n] = mine.of(row, n);
    max = fmaxf(max, largest(four[n]));
  }
  max = warp_max(max);
  if (threadIdx.x % 32 == 0) maxima[warp] = max;
  __syncthreads();
  // the scale, and the norm's factor
  float sum = 0.0f;
#pragma unroll
  for (uint32_t w = 0; w < kLeanWarps; ++w) {
    sum += squares[w];
    max = fmaxf(max, maxima[w]);
  }
  const float scale = power_of_two_for(max);
  const float mean = sum / static_cast<float>(depth);
  const float factor = op.folded.weight ? 1.0f / sqrtf(mean + op.folded.epsilon) : 1.0f;
  if (threadIdx.x < kLeanWarps) scales[threadIdx.x] = scale * factor;
#pragma unroll
  for (uint32_t n = 0; n < kFoldedRounds; ++n) {
    const uint32_t at = FoldedElements::element(n), end = slice.blocks * kBlockRows;
    if (at - threadIdx.x % 32 * 4 >= end) break;  // whole warps
    store_four<kZeros>(op, four[n], 1.0f / scale, at, at < end, shared);
  }
  __syncthreads();
}

}  // namespace ropewalk::cuda::gptq
