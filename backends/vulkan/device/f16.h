// f16.h — the one conversion to f16 that the host needs.
#pragma once

#include <bit>
#include <cstdint>

namespace ropewalk::vulkan {

// Exact. REQUIRES: value <= 2048.
inline uint16_t f16_of_integer(uint32_t value) {
  if (value == 0) return 0;
  const uint32_t exponent = static_cast<uint32_t>(std::bit_width(value)) - 1;
  const uint32_t mantissa = (value << (10 + 1) >> (exponent + 1)) & 0x3ffu;
  return static_cast<uint16_t>((exponent + 15) << 10 | mantissa);
}

}  // namespace ropewalk::vulkan
