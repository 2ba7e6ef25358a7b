// Pages of the key-value cache, in words of 32 bits that hold 1 (f32), 2 (f16) or 4 (i8) elements
// along head_dim. Neighbouring invocations read neighbouring keys, but neighbouring dimensions of a value:
//
//   keys    (kv_heads, words, tokens)
//   values  (kv_heads, tokens, words)
//
// For i8 the scales (kv_heads, tokens) f16 follow.
#ifndef CACHE_CONSTANTS
#define CACHE_CONSTANTS 0
#endif
layout(constant_id = CACHE_CONSTANTS + 1) const uint kPageTokens = 64;
layout(constant_id = CACHE_CONSTANTS + 2) const uint kHeadDim = 128;
layout(constant_id = CACHE_CONSTANTS + 3) const uint kElements = 2;  // per word
const uint kHeadWords = kHeadDim / kElements;

uint page_words(uint kv_heads) {
  return kPageTokens * kv_heads * kHeadWords + (kElements == 4 ? kPageTokens * kv_heads / 2 : 0);
}

float element(uint word, uint i) {
  if (kElements == 1) return uintBitsToFloat(word);
  if (kElements == 2) return i == 0 ? unpackHalf2x16(word).x : unpackHalf2x16(word).y;
  return float(bitfieldExtract(int(word), int(8 * i), 8));
}

uint scale_index(uint kv_heads, uint kv_head, uint token) {
  return kPageTokens * kv_heads * kHeadWords * 2 + kv_head * kPageTokens + token;  // counted in f16
}
