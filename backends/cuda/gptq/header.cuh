// header.cuh — scales and zeros of a lane's four columns.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

struct Header {
  float scale[kLaneColumns];
  __half zero[kLaneColumns];
};

// For headers of one word a column: scale and zero as two f16.
__device__ __forceinline__ Header decode_f16(const uint4& stored) {
  const uint32_t words[4] = {stored.x, stored.y, stored.z, stored.w};
  Header header;
#pragma unroll
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    header.scale[j] = __half2float(__ushort_as_half(static_cast<uint16_t>(words[j])));
    header.zero[j] = __ushort_as_half(static_cast<uint16_t>(words[j] >> 16));
  }
  return header;
}

// For headers of two words a column: each an f32.
__device__ __forceinline__ Header decode_f32(const uint4& first, const uint4& second) {
  const uint32_t words[8] = {first.x,  first.y,  first.z,  first.w,
                             second.x, second.y, second.z, second.w};
  Header header;
#pragma unroll
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    header.scale[j] = __uint_as_float(words[2 * j]);
    header.zero[j] = __float2half(__uint_as_float(words[2 * j + 1]));
  }
  return header;
}

// Loads the lane's part of a small header: its scales, then its zeros in 16 bits.
__device__ __forceinline__ uint4 load_small_header(const uint32_t* header, Zeros zeros) {
  const uint32_t g = threadIdx.x % kLanes / 4;
  const uint2 scales = __ldg(reinterpret_cast<const uint2*>(header) + g);
  const auto* stored = reinterpret_cast<const uint16_t*>(header + kSmallScaleBytes / 4);
  return {scales.x, scales.y, zeros == Zeros::nibbles ? uint32_t{__ldg(stored + g)} : 0u, 0};
}
// `zero` is Layout::zero. 0x6400 is 1024 as f16, whose last mantissa bit counts 1.
__device__ __forceinline__ Header decode_small(const uint4& stored, uint32_t zero) {
  const uint32_t words[2] = {stored.x, stored.y};
  const __half offset = __float2half(static_cast<float>(zero) - 1024.0f);
  Header header;
#pragma unroll
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    const auto scale = static_cast<uint16_t>(words[j / 2] >> j % 2 * 16);
    const auto code = static_cast<uint16_t>(0x6400u | (stored.z >> small_zero_bit(8 * j) & 15u));
    header.scale[j] = __half2float(__ushort_as_half(scale));
    header.zero[j] = __hadd(__ushort_as_half(code), offset);
  }
  return header;
}

// The calling lane's columns of the group with this header.
__device__ __forceinline__ Header load_header(const uint32_t* header, const Layout& l) {
  if (l.zeros != Zeros::beside_scales)
    return decode_small(load_small_header(header, l.zeros), l.zero);
  const auto* stored =
      reinterpret_cast<const uint4*>(header) + threadIdx.x % kLanes / 4 * l.header_words;
  return l.header_words == 1 ? decode_f16(__ldg(stored))
                             : decode_f32(__ldg(stored), __ldg(stored + 1));
}

}  // namespace ropewalk::cuda::gptq
