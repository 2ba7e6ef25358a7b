#include "core/checkpoint/weights/finite.h"

#include <bit>
#include <cstring>

namespace ropewalk {
namespace {

template <class Word>
NonFinite count(std::span<const std::byte> bytes, Word exponent) {
  NonFinite found;
  for (size_t i = 0; i < bytes.size() / sizeof(Word); ++i) {
    Word word;
    std::memcpy(&word, bytes.data() + i * sizeof word, sizeof word);
    if ((word & exponent) != exponent) continue;
    if (found.count == 0) found.first = i;
    ++found.count;
  }
  return found;
}

// f16: 1 sign, 5 exponent (bias 15), 10 fraction bits. f32: 1, 8 (bias 127), 23.
float from_f16(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31, fraction = half & 1023u;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // subnormal, or zero
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
}

}  // namespace

NonFinite count_non_finite(StoredType type, std::span<const std::byte> bytes) {
  // All ones in the exponent: NaN or infinity.
  switch (type) {
    case StoredType::f32:
      return count<uint32_t>(bytes, 0x7f800000u);
    case StoredType::f16:
      return count<uint16_t>(bytes, 0x7c00);
    case StoredType::bf16:
      return count<uint16_t>(bytes, 0x7f80);
    case StoredType::f64:
      return count<uint64_t>(bytes, 0x7ff0000000000000u);
    default:
      return {};
  }
}

std::vector<float> to_floats(StoredType type, std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / stored_size(type));
  if (type == StoredType::f32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t word;
    std::memcpy(&word, bytes.data() + i * sizeof word, sizeof word);
    values[i] =
        type == StoredType::bf16 ? std::bit_cast<float>(uint32_t{word} << 16) : from_f16(word);
  }
  return values;
}

}  // namespace ropewalk
