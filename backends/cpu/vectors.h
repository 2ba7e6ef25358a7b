// vectors.h — vectors as wide as the instruction set has them, and loads of the stored types.
//
// GCC's and Clang's portable vectors: arithmetic on all lanes at once. Plain loops would do, but
// GCC 12 keeps a block of sums in registers only in this form. For kernels.cpp alone: everything
// here is inlined into the instruction set that is being compiled.
#pragma once

#include <cstdint>

#include "backends/cpu/numeric.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ropewalk::cpu::RW_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

constexpr int kVectorBytes = kLanes * 4;
using Floats = float __attribute__((vector_size(kVectorBytes)));
using Words = uint32_t __attribute__((vector_size(kVectorBytes)));
using Integers = int32_t __attribute__((vector_size(kVectorBytes)));
// At any address of an element. Clang takes `aligned` only from a declaration, not from a type.
using FloatsAt __attribute__((aligned(4), may_alias)) = Floats;
using WordsAt __attribute__((aligned(4), may_alias)) = Words;

// Stored elements as bits, each type with a name of its own.
struct F16 {
  uint16_t bits;
};
struct Bf16 {
  uint16_t bits;
};

RW_INLINE Words load(const uint32_t* from) { return *reinterpret_cast<const WordsAt*>(from); }
RW_INLINE void store(float* to, Floats value) { *reinterpret_cast<FloatsAt*>(to) = value; }
RW_INLINE Floats all(float value) { return value - Floats{}; }

// One lane; lane_by_lane() does what the intrinsics below do.
RW_INLINE float as_f32(F16 value) { return f32_of_f16(value.bits); }
RW_INLINE float as_f32(Bf16 value) { return f32_of_bf16(value.bits); }
RW_INLINE float as_f32(int8_t value) { return value; }
RW_INLINE float as_f32(uint8_t value) { return value; }
RW_INLINE float as_f32(uint16_t value) { return value; }

template <class Stored>
RW_INLINE Floats lane_by_lane(const Stored* from) {
  Floats wide{};
  for (int i = 0; i < kLanes; ++i) wide[i] = as_f32(from[i]);
  return wide;
}

RW_INLINE Floats f32_of_signed(Words words) {
  return __builtin_convertvector(__builtin_bit_cast(Integers, words), Floats);
}

RW_INLINE Floats load_as_f32(const float* from) { return *reinterpret_cast<const FloatsAt*>(from); }

#if defined(__AVX512F__)

// Masked forms with all lanes on: GCC 12 warns of an uninitialised operand in the plain ones (GCC
// bug 105593).
RW_INLINE Floats f32_of(__m512i integers) { return _mm512_maskz_cvtepi32_ps(0xffff, integers); }
// The other bits of each word may be anything.
RW_INLINE Floats f32_of_low_4_bits(Words words) {
  constexpr Floats kTable = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return _mm512_maskz_permutexvar_ps(0xffff, __builtin_bit_cast(__m512i, words), kTable);
}
RW_INLINE __m128i load_16(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
RW_INLINE __m256i load_32(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
RW_INLINE Floats load_as_f32(const F16* from) {
  return _mm512_maskz_cvtph_ps(0xffff, load_32(from));
}
RW_INLINE Floats load_as_f32(const Bf16* from) {
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(0xffff, load_32(from));
  return __builtin_bit_cast(Floats, __builtin_bit_cast(Words, wide) << 16);
}
RW_INLINE Floats load_as_f32(const int8_t* from) {
  return f32_of(_mm512_maskz_cvtepi8_epi32(0xffff, load_16(from)));
}
RW_INLINE Floats load_as_f32(const uint8_t* from) {
  return f32_of(_mm512_maskz_cvtepu8_epi32(0xffff, load_16(from)));
}
RW_INLINE Floats load_as_f32(const uint16_t* from) {
  return f32_of(_mm512_maskz_cvtepu16_epi32(0xffff, load_32(from)));
}

#elif defined(__AVX2__)

RW_INLINE __m128i load_8(const void* from) {
  return _mm_loadl_epi64(static_cast<const __m128i*>(from));
}
RW_INLINE __m128i load_16(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
RW_INLINE Floats load_as_f32(const F16* from) { return _mm256_cvtph_ps(load_16(from)); }
RW_INLINE Floats load_as_f32(const Bf16* from) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16(from)), 16));
}
RW_INLINE Floats load_as_f32(const int8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8(from)));
}
RW_INLINE Floats load_as_f32(const uint8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_8(from)));
}
RW_INLINE Floats load_as_f32(const uint16_t* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(load_16(from)));
}

#else

template <class Stored>
RW_INLINE Floats load_as_f32(const Stored* from) {
  return lane_by_lane(from);
}

#endif

// What integers.cpp needs, which is compiled for AVX512-VNNI and for tests for the baseline.
#if defined(__AVX512VNNI__)

RW_INLINE Words load_as_words(const uint8_t* from) {
  return __builtin_bit_cast(Words, _mm512_maskz_cvtepu8_epi32(0xffff, load_16(from)));
}
// Lane n: sum + the sum over i of byte i of `codes`, times byte i of `four`, which has a sign.
RW_INLINE Words add_dot(Words sum, Words codes, uint32_t four) {
  return __builtin_bit_cast(
      Words,
      _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, sum), __builtin_bit_cast(__m512i, codes),
                          _mm512_set1_epi32(static_cast<int32_t>(four))));
}

#else

RW_INLINE Words load_as_words(const uint8_t* from) {
  Words words{};
  for (int i = 0; i < kLanes; ++i) words[i] = from[i];
  return words;
}
RW_INLINE Words add_dot(Words sum, Words codes, uint32_t four) {
  for (int shift = 0; shift < 32; shift += 8)
    sum += (codes >> shift & 0xffu) * static_cast<uint32_t>(static_cast<int8_t>(four >> shift));
  return sum;
}

#endif

}  // namespace
}  // namespace ropewalk::cpu::RW_ISA
