// numeric.h — f16 and bf16 as bits, to and from f32.
//
// Without branches, so that loops over them become vector code. Always inlined: kernels.cpp is
// compiled for several instruction sets, and a shared function would be compiled for one of them.
#pragma once

#include <cstdint>

namespace ropewalk::cpu {

#define RW_INLINE __attribute__((always_inline)) inline

RW_INLINE float f32_of_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }
RW_INLINE uint32_t bits_of_f32(float value) { return __builtin_bit_cast(uint32_t, value); }

// Exact. f16: sign 1, exponent 5 (bias 15), mantissa 10. With these bits in the places of f32's the
// value is too small by 2^112, subnormals too. Infinity and NaN need f32's largest exponent.
RW_INLINE float f32_of_f16(uint16_t half) {
  const uint32_t sign = (uint32_t{half} & 0x8000u) << 16;
  const uint32_t rest = (uint32_t{half} & 0x7fffu) << 13;
  const uint32_t finite = bits_of_f32(f32_of_bits(rest) * 0x1p112f);
  return f32_of_bits(sign | (rest >= 0x0f800000u ? rest | 0x7f800000u : finite));
}

RW_INLINE float f32_of_bf16(uint16_t half) { return f32_of_bits(uint32_t{half} << 16); }

// Rounds to nearest, ties to even; 65520 and above become infinity.
RW_INLINE uint16_t f16_of_f32(float value) {
  const uint32_t bits = bits_of_f32(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t rest = bits & 0x7fffffffu;
  // Below 2^-14 the result is subnormal: adding 0.5 makes the addition round at 2^-24.
  const uint32_t tiny = bits_of_f32(f32_of_bits(rest) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (rest + 0xc8000fffu + (rest >> 13 & 1u)) >> 13;
  const uint32_t huge = rest > 0x7f800000u ? 0x7e00u : 0x7c00u;
  const uint32_t half = rest < 0x38800000u ? tiny : rest < 0x47800000u ? normal : huge;
  return static_cast<uint16_t>(sign | half);
}

}  // namespace ropewalk::cpu
