// lean/segment.cuh — a warp reads its part of a column tile from its ring, a chunk of blocks of K
// after the other, and hands each block to the kernel that multiplies it.
#pragma once

#include <cuda_fp16.h>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/lean/shared_layout.h"
#include "backends/cuda/kernel/async.cuh"

namespace ropewalk::cuda::gptq {

__device__ __forceinline__ float2 floats_of(uint32_t pair) {
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}

// A lane's fragment of a block of the weight.
struct WeightFragment {
  uint4 codes;
  uint2 scales;    // f16
  uint32_t zeros;  // 16 bits
};
template <Copies kCopies, Zeros kZeros>
__device__ __forceinline__ WeightFragment load_fragment(const std::byte* block) {
  const uint32_t lane = threadIdx.x % kLanes, g = lane / 4;
  const auto load = [](const auto* at) {
    if constexpr (kCopies == Copies::none) return __ldcs(at);
    return *at;
  };
  WeightFragment fragment{};
  fragment.scales = load(reinterpret_cast<const uint2*>(block) + g);
  if constexpr (kZeros == Zeros::nibbles)
    fragment.zeros = load(reinterpret_cast<const uint16_t*>(block + kSmallScaleBytes) + g);
  fragment.codes = load(reinterpret_cast<const uint4*>(block + small_header_bytes(kZeros)) + lane);
  return fragment;
}

// Multiplies `count` blocks of K of one tile. `operand` is x from the first of them on: it has
// multiply(weight, b, sums) for block b from there, and advance(blocks). kUnrolled
// blocks of a chunk are compiled one behind the other.
template <Copies kCopies, Zeros kZeros, uint32_t kUnrolled, class Ring, class Operand, class Sums>
__device__ __forceinline__ void multiply_segment(Ring& ring, Operand operand, uint32_t count,
                                                 Sums& sums) {
  constexpr uint32_t kBlockBytes = small_block_bytes(kZeros);
  for (; count >= kChunk; count -= kChunk) {
    const std::byte* chunk = ring.wait();
#pragma unroll kUnrolled
    for (uint32_t b = 0; b < kChunk; ++b)
      operand.multiply(load_fragment<kCopies, kZeros>(chunk + b * kBlockBytes), b, sums);
    operand.advance(kChunk);
    ring.release();
  }
  if (count == 0) return;
  const std::byte* chunk = ring.wait();
#pragma unroll 1
  for (uint32_t b = 0; b < count; ++b)
    operand.multiply(load_fragment<kCopies, kZeros>(chunk + b * kBlockBytes), b, sums);
  ring.release();
}

}  // namespace ropewalk::cuda::gptq
