// How heads of queries and keys are rotated, and heads of keys and values stored in their pages: what kv_append.comp
// and gptq_qkv.comp share. They put each head into `value`, from an element `first` on.
//
// REQUIRES: kValues; kRopeIsScaled, false only where rope_scale is 1; step, kv_heads and rope_scale among the push constants; cache.glsl and round.glsl.
shared float value[kValues];

// Element `i` of a head, rotated as rope.comp does it; `pair`: the elements of its pair, half a head apart.
float rotated(vec2 pair, uint row, uint i) {
  const uint half_dim = kHeadDim / 2, p = i % half_dim;
  const uint angle = (row * step.rope_pairs + p) * 2;
  const float scale = kRopeIsScaled ? rope_scale_of(step, row, p, rope_scale) : 1;
  const float c = step.angles.at[angle] * scale, t = step.angles.at[angle + 1] * scale;
  return i < half_dim ? pair.x * c - pair.y * t : pair.y * c + pair.x * t;
}

// Where a head of a row lies in its cache.
struct Place {
  bool is_key;
  uint base;  // the page's first word
  uint head, token;
};

Place place_of(bool is_key, uint head, uint row) {
  const uint position = step.position.at[row];
  const uint page =
      step.page.at[step.sequence.at[row] * step.pages_per_sequence + position / kPageTokens];
  return Place(is_key, page * page_words(kv_heads), head, position % kPageTokens);
}

// Stores word `w` of a head; `head_max`: of the head, for i8.
void store_word(WordResults to, Place place, uint w, uint first, float head_max) {
  uint word = 0;
  if (kElements == 1) {
    word = floatBitsToUint(value[first + w]);
  } else if (kElements == 2) {
    word = f16_of_f32(value[first + 2 * w]) | f16_of_f32(value[first + 2 * w + 1]) << 16;
  } else if (head_max > 0 && is_finite(head_max)) {
    for (uint i = 0; i < 4; ++i)
      word |= (uint(int(roundEven(value[first + 4 * w + i] * 127 / head_max))) & 0xffu) << 8 * i;
  }
  const uint entry = place.is_key ? (place.head * kHeadWords + w) * kPageTokens + place.token
                                  : (place.head * kPageTokens + place.token) * kHeadWords + w;
  to.at[place.base + entry] = word;
}

// Stores the scale of a head of i8. A code cannot be NaN, but the scale can: a NaN activation then shows in the
// logits. Another token's invocation may write the other half of the word, so atomics: their order does not
// change the bits.
void store_scale(WordResults to, Place place, float head_max) {
  const uint scale = is_finite(head_max) ? f16_of_f32(head_max / 127) : 0x7e00u;
  const uint at = scale_index(kv_heads, place.head, place.token), shift = 16 * (at & 1);
  atomicAnd(to.at[place.base + at / 2], ~(0xffffu << shift));
  atomicOr(to.at[place.base + at / 2], scale << shift);
}
