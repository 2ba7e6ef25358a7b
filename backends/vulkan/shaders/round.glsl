// f32 to f16 as the law rounds it, and the test for NaN and infinity.

// Round to nearest, ties to even. packHalf2x16 leaves the rounding to the device.
uint f16_of_f32(float value) {
  const uint bits = floatBitsToUint(value), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
  const uint tiny = floatBitsToUint(uintBitsToFloat(rest) + 0.5) - 0x3f000000u;
  const uint normal = (rest + 0xc8000fffu + (rest >> 13 & 1u)) >> 13;
  const uint huge = rest > 0x7f800000u ? 0x7e00u : 0x7c00u;
  return sign | (rest < 0x38800000u ? tiny : rest < 0x47800000u ? normal : huge);
}

bool is_finite(float value) { return (floatBitsToUint(value) & 0x7f800000u) != 0x7f800000u; }

// The larger of a maximum and a value's size; infinity where the value is NaN or infinite.
float with_size(float maximum, float of) {
  return is_finite(of) ? max(maximum, abs(of)) : uintBitsToFloat(0x7f800000u);
}
