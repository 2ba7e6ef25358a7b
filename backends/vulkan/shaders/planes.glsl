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

// Stores a block from word `first` on.
void store_planes(WordResults to, uint first, float value[32]) {
  // max over the block
  float maximum = 0;
  bool finite = true;
  [[unroll]] for (uint i = 0; i < 32; ++i) {
    finite = finite && is_finite(abs(value[i]));
    maximum = max(maximum, abs(value[i]));
  }
  // choose the scale: 256 * 127 + 127 is the largest number of two signed bytes
  uint exponent = clamp(floatBitsToUint(maximum) >> 23, 15u, 254u);
  if (maximum * uintBitsToFloat((268 - exponent) << 23) > 32639) ++exponent;
  const float scale = uintBitsToFloat((exponent - 14) << 23), inverse = uintBitsToFloat((268 - exponent) << 23);

  // quantise and store
  int sum = 0;
  [[unroll]] for (uint w = 0; w < 32 / 8; ++w) {
    uint word[4] = uint[4](0, 0, 0, 0);
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      const int whole = clamp(int(roundEven(value[8 * w + i] * inverse)), -32639, 32639);
      const int high = (whole + 128) >> 8, low = whole - 256 * high;
      sum += whole;
      word[i % 2] |= uint(high & 255) << (i / 2 * 8);
      word[2 + i % 2] |= uint(low & 255) << (i / 2 * 8);
    }
    [[unroll]] for (uint i = 0; i < 4; ++i) to.at[first + 4 * w + i] = word[i];
  }
  to.at[first + 16] = finite ? floatBitsToUint(scale) : 0x7fc00000u;
  to.at[first + 17] = floatBitsToUint(float(sum));
}
