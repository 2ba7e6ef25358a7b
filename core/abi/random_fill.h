// random_fill.h — the extension "random-fill": a device fills its own memory with random numbers,
// so that measurements need not wait for gigabytes from the host.
//
// The numbers serve a cache of any type. Each 16 bits are an f16 with 1/8 <= |x| < 1/2: sign, one
// bit of the exponent and the mantissa are random. As int8 codes with scales of f16, and as f32,
// they are finite too.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/abi/graph.h"
#include "core/abi/status.h"

namespace ropewalk::abi {

inline constexpr std::string_view kRandomFill = "random-fill";

// Two 16-bit numbers from 32 random bits.
inline constexpr uint32_t kRandomBits = 0x87ff87ffu, kFixedBits = 0x30003000u;
constexpr uint32_t random_halves(uint32_t bits) { return (bits & kRandomBits) | kFixedBits; }

// The result of extension(kRandomFill); the device owns it.
class RandomFill {
 public:
  // Returns when the slice is filled. REQUIRES: slice.offset and slice.bytes are multiples of 16.
  virtual Status fill(Slice to, uint32_t seed) noexcept = 0;

 protected:
  ~RandomFill() = default;
};

}  // namespace ropewalk::abi
