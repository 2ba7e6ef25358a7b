// Values of x as two planes of int8: x[k] = scale * (256 * high[k] + low[k]), 32 values at a time. scale is a
// power of two, so that small whole numbers stay exact; no value is further off than 2^-15 of the maximum.
// A block is 20 words, in the order in which gptq_lean.comp reads them:
//
//   word 4 w      high of rows 8 w + 0, 2, 4, 6 of the block      w = 0 .. 3
//   word 4 w + 1  high of rows 8 w + 1, 3, 5, 7
//   word 4 w + 2  low of the even ones
//   word 4 w + 3  low of the odd ones
//   word 16       scale;  NaN where a value is NaN or infinite, so that no product hides it
//   word 17       the sum of 256 * high + low, as f32 (exact);  two words of padding
const uint kPlaneWords = 20;

// The scale of a block with this maximum, and its inverse: 256 * 127 + 127 is the largest number of two signed
// bytes. `maximum` is infinite where a value is no finite number.
struct PlaneScale {
  float scale, inverse;
};
PlaneScale plane_scale_of(float maximum) {
  uint exponent = clamp(floatBitsToUint(maximum) >> 23, 15u, 254u);
  if (maximum * uintBitsToFloat((268 - exponent) << 23) > 32639) ++exponent;
  return PlaneScale(uintBitsToFloat((exponent - 14) << 23), uintBitsToFloat((268 - exponent) << 23));
}

// The four words of rows 8 w .. 8 w + 7; adds their whole numbers to `sum`.
uvec4 plane_words(float value[8], float inverse, inout int sum) {
  uvec4 word = uvec4(0);
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    const int whole = clamp(int(roundEven(value[i] * inverse)), -32639, 32639);
    const int high = (whole + 128) >> 8, low = whole - 256 * high;
    sum += whole;
    word[i % 2] |= uint(high & 255) << (i / 2 * 8);
    word[2 + i % 2] |= uint(low & 255) << (i / 2 * 8);
  }
  return word;
}

// Words 16 and 17.
uvec2 plane_tail(PlaneScale scale, float maximum, int sum) {
  return uvec2(is_finite(maximum) ? floatBitsToUint(scale.scale) : 0x7fc00000u, floatBitsToUint(float(sum)));
}

// Stores a block from word `first` on.
void store_planes(WordResults to, uint first, float value[32]) {
  float maximum = 0;
  [[unroll]] for (uint i = 0; i < 32; ++i) maximum = with_size(maximum, value[i]);
  const PlaneScale scale = plane_scale_of(maximum);
  int sum = 0;
  [[unroll]] for (uint w = 0; w < 32 / 8; ++w) {
    float eight[8];
    [[unroll]] for (uint i = 0; i < 8; ++i) eight[i] = value[8 * w + i];
    const uvec4 word = plane_words(eight, scale.inverse, sum);
    [[unroll]] for (uint i = 0; i < 4; ++i) to.at[first + 4 * w + i] = word[i];
  }
  const uvec2 tail = plane_tail(scale, maximum, sum);
  to.at[first + 16] = tail.x;
  to.at[first + 17] = tail.y;
}
