// unpack.cuh — turns a lane's codes into f16: code - zero, exactly.
//
// 0x6400 is 1024 as f16, whose last mantissa bit counts 1. A code of up to 8 bits in the last bits
// makes 1024 + code; subtracting 1024 + zero leaves code - zero without rounding (zero is at most
// 256). The trick is FasterTransformer's interleaved numeric conversion, which exllamav2
// (qdq_4.cuh) and Marlin use.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

__device__ __forceinline__ __half2 pair_of(uint32_t bits) {
  return *reinterpret_cast<const __half2*>(&bits);
}

// 1024 + code in each half of the word, by one instruction. The compiler would make two of it: it
// folds both numbers into LOP3, which takes only one constant.
template <uint32_t kMask>
__device__ __forceinline__ uint32_t bits_with_1024(uint32_t word) {
#if defined(__CUDACC__)
  uint32_t bits;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(bits) : "r"(word), "n"(kMask), "r"(0x64006400u));
  return bits;
#else
  return (word & kMask) | 0x64006400u;
#endif
}
template <uint32_t kMask>
__device__ __forceinline__ __half2 add_1024(uint32_t word) {
  return pair_of(bits_with_1024<kMask>(word));
}

// What is subtracted from the codes of a column.
struct Zero {
  __half2 from_1024;  // -(1024 + zero) twice
  __half2 from_64;    // -(64 + zero) twice; 4 bits alone

  __device__ __forceinline__ explicit Zero(__half zero)
      : from_1024(__half2half2(__hneg(__hadd(__float2half(1024.0f), zero)))),
        from_64(__half2half2(__hneg(__hadd(__float2half(64.0f), zero)))) {}
  // The same for a zero of at most 63. The last mantissa bit of -1024 as f16 counts 1, that of -64
  // counts 1/16.
  __device__ __forceinline__ explicit Zero(uint32_t zero)
      : from_1024(pair_of(0xe400e400u + zero * 0x00010001u)),
        from_64(pair_of(0xd400d400u + zero * 0x00100010u)) {}
  __device__ __forceinline__ Zero(__half2 of_1024, __half2 of_64)
      : from_1024(of_1024), from_64(of_64) {}
};

// Loads a lane's words of one block in units of up to 16 bytes. They are read once, so L1 need not
// keep them.
template <uint32_t kBits>
__device__ __forceinline__ void load_codes(const uint32_t* block, uint32_t lane,
                                           uint32_t (&words)[kBits]) {
  if constexpr (kBits % 4 == 0) {
#pragma unroll
    for (uint32_t unit = 0; unit < kBits / 4; ++unit) {
      const uint4 four = __ldcs(reinterpret_cast<const uint4*>(block) + unit * kLanes + lane);
      words[4 * unit] = four.x;
      words[4 * unit + 1] = four.y;
      words[4 * unit + 2] = four.z;
      words[4 * unit + 3] = four.w;
    }
  } else if constexpr (kBits == 2) {
    const uint2 two = __ldcs(reinterpret_cast<const uint2*>(block) + lane);
    words[0] = two.x;
    words[1] = two.y;
  } else {
#pragma unroll
    for (uint32_t word = 0; word < kBits; ++word)
      words[word] = __ldcs(block + word * kLanes + lane);
  }
}

// The 8 codes of column j in pairs of rows: code - zero.
template <uint32_t kBits>
__device__ __forceinline__ void unpack(const uint32_t (&words)[kBits], uint32_t j, const Zero& zero,
                                       __half2 (&pair)[4]) {
  if constexpr (kBits == 4) {
    const __half2 sixteenth = __float2half2_rn(0.0625f);
    const uint32_t low = words[j], high = low >> 8;
    pair[0] = __hadd2(add_1024<0x000f000f>(low), zero.from_1024);
    pair[1] = __hfma2(add_1024<0x00f000f0>(low), sixteenth, zero.from_64);
    pair[2] = __hadd2(add_1024<0x000f000f>(high), zero.from_1024);
    pair[3] = __hfma2(add_1024<0x00f000f0>(high), sixteenth, zero.from_64);
  } else {
    constexpr uint32_t kMask = (1u << kBits) - 1;
#pragma unroll
    for (uint32_t p = 0; p < 4; ++p) {
      uint32_t both = 0;
#pragma unroll
      for (uint32_t half = 0; half < 2; ++half) {
        const uint32_t bit = code_bit(kBits, j, 2 * p + half), word = bit / 32, shift = bit % 32;
        const uint32_t next = word + 1 < kBits ? words[word + 1] : 0;
        both |= (__funnelshift_r(words[word], next, shift) & kMask) << (16 * half);
      }
      pair[p] = __hadd2(pair_of(both | 0x64006400u), zero.from_1024);
    }
  }
}

}  // namespace ropewalk::cuda::gptq
