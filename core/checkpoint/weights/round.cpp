#include "core/checkpoint/weights/round.h"

#include <bit>
#include <cstring>

namespace ropewalk {
namespace {

template <uint16_t (*kRound)(float)>
void round_all(std::span<const float> values, std::byte* out) {
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t word = kRound(values[i]);
    std::memcpy(out + i * sizeof word, &word, sizeof word);
  }
}

}  // namespace

// f32: 1 sign, 8 exponent (bias 127), 23 fraction bits. f16: 1, 5 (bias 15), 10.
uint16_t round_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u;  // NaN
  } else if (magnitude >= 0x47800000u) {
    half = 0x7c00u;  // 2^16 and above; rounding takes care of 65520 to 65536
  } else if (magnitude < 0x38800000u) {
    // Below 2^-14 the result is subnormal. The last bit of a float near 0.5 is worth 2^-24, as
    // theirs is: the addition rounds.
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    const uint32_t odd = magnitude >> 13 & 1;
    half = (magnitude - 0x38000000u + 0xfffu + odd) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

uint16_t round_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

void round_to(StoredType type, std::span<const float> values, std::span<std::byte> out) {
  if (type == StoredType::f32) {
    std::memcpy(out.data(), values.data(), out.size());
  } else if (type == StoredType::bf16) {
    round_all<round_to_bf16>(values, out.data());
  } else {
    round_all<round_to_f16>(values, out.data());
  }
}

}  // namespace ropewalk
