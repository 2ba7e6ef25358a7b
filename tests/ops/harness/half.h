// half.h — f16 and bf16 by arithmetic alone, so that tests do not trust the code under test.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ropewalk::test {

// The value of a binary floating-point format: `mantissa` bits behind the point, exponents from
// 1 - bias. Ties to even.
inline double rounded(double value, int mantissa, int bias) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), 1 - bias);
  const double quantum = std::ldexp(1.0, exponent - mantissa);
  return std::nearbyint(value / quantum) * quantum;
}

inline double rounded_to_f16(double value) { return rounded(value, 10, 15); }

inline double value_of(uint16_t bits, int mantissa, int bias) {
  const int exponent = (bits & 0x7fff) >> mantissa;
  const int fraction = bits & ((1 << mantissa) - 1);
  const double magnitude = exponent
                               ? std::ldexp((1 << mantissa) + fraction, exponent - bias - mantissa)
                               : std::ldexp(fraction, 1 - bias - mantissa);
  return bits & 0x8000 ? -magnitude : magnitude;
}

inline double f16_value(uint16_t bits) { return value_of(bits, 10, 15); }   // finite ones
inline double bf16_value(uint16_t bits) { return value_of(bits, 7, 127); }  // finite ones

// REQUIRES: finite and within the format's range after rounding.
inline uint16_t bits_of(double value, int mantissa, int bias) {
  const double magnitude = std::fabs(rounded(value, mantissa, bias));
  const int sign = std::signbit(value) ? 0x8000 : 0;
  if (magnitude == 0) return static_cast<uint16_t>(sign);
  const int exponent = std::ilogb(magnitude);
  if (exponent < 1 - bias)
    return static_cast<uint16_t>(sign | std::lrint(std::ldexp(magnitude, bias - 1 + mantissa)));
  const long fraction = std::lrint(std::ldexp(magnitude, mantissa - exponent)) - (1l << mantissa);
  return static_cast<uint16_t>(sign | (exponent + bias) << mantissa | fraction);
}

inline uint16_t f16_bits(double value) { return bits_of(value, 10, 15); }
inline uint16_t bf16_bits(double value) { return bits_of(value, 7, 127); }

}  // namespace ropewalk::test
