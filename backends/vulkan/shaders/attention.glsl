// What the two attention shaders share: attention.comp for rows that are alone in their sequence,
// attention_tile.comp for tiles of a prompt's rows.
layout(constant_id = 4) const uint kOnRead = 0;  // keys are cached unrotated
layout(constant_id = 5) const uint kWritesY = 1;  // one split and no order: y is written here
// A processor computes both sides of a branch, so what most models lack is left out when the shader is compiled.
layout(constant_id = 7) const uint kHasWindow = 0;
layout(constant_id = 8) const uint kHasCap = 0;

#ifndef PARTIALS
#define PARTIALS FloatResults
#endif
layout(push_constant) uniform Push {
  Floats q;  // (R, heads, d)
  Words keys;
  Words values;
  FloatResults y;        // (R, heads, d)
  PARTIALS partial;      // (R, heads, splits, 2 + d)  maximum, sum, output
  Step step;
  uint heads;
  uint kv_heads;
  uint splits;
  float scale;
  uint first_row;      // of this dispatch: an attention too large for a submission is several
  uint after_prompts;  // count rows from the end of the prompts' rows
  uint window;         // keys that a query sees, its own included; 0: all
  float soft_cap;      // of the scores; 0: none
#ifdef JOINED
  Counters counters;  // (R, heads)
#endif
};

// The first key that a query at this position sees.
uint first_key_of(uint position) {
  return kHasWindow != 0 && position >= window ? position - window + 1 : 0;
}

// soft_cap * tanh(score / soft_cap), to 1e-7 of soft_cap: the precision that the standard demands of
// tanh() is too low.
float capped(float score) {
  return kHasCap == 0 ? score : soft_cap - 2 * soft_cap / (exp(2 * score / soft_cap) + 1);
}

// Keys are scored kSpan at a time before the first is weighted: those of a page, of several, or of a part of
// one. The first words of a span's pages lie here; while one span is attended those of the next are loaded.
const uint kPagesOfSpan = kSpan > kPageTokens ? kSpan / kPageTokens : 1;
shared uint span_pages[2 * kPagesOfSpan];

// Pages behind the sequence's last one are never read.
uint page_words_at(uint page, uint sequence) {
  const uint p = min(page, step.pages_per_sequence - 1);
  return step.page.at[sequence * step.pages_per_sequence + p] * page_words(kv_heads);
}

void load_pages(uint span, uint sequence, uint lane) {
  for (uint i = lane; i < kPagesOfSpan; i += kLanes)
    span_pages[span % 2 * kPagesOfSpan + i] = page_words_at(span * kSpan / kPageTokens + i, sequence);
}

// The page of key `at` of a span, and its entry there.
uint page_of(uint span, uint at) { return span_pages[span % 2 * kPagesOfSpan + at / kPageTokens]; }
uint entry_of(uint span, uint at) { return (span * kSpan + at) % kPageTokens; }

// Neighbouring lanes take the words of one value; lanes beyond them take other keys.
const uint kLanesPerValue = kHeadWords < kLanes ? kHeadWords : kLanes;
const uint kParts = kLanes / kLanesPerValue;
const uint kWordsPerLane = (kHeadWords + kLanesPerValue - 1) / kLanesPerValue;

// Cosine and sine to 2e-7 for angles up to some 25000: the precision that the standard demands of sin()
// is too low. angle = n * pi/2 + rest, reduced in three steps whose products are exact. Polynomials:
// Cephes (sinf.c).
vec2 cos_sin(float angle) {
  const float n = roundEven(angle * 0.636619772367581);
  precise float rest = angle - n * 1.5703125;
  rest = rest - n * 4.837512969970703125e-4;
  rest = rest - n * 7.549789948768648e-8;
  const float z = rest * rest;
  const float s =
      ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * rest + rest;
  const float c =
      ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z -
      0.5 * z + 1.0;
  const uint quarter = uint(int(n)) & 3u;
  const vec2 swapped = (quarter & 1u) == 0 ? vec2(c, s) : vec2(s, c);
  return vec2(quarter == 1 || quarter == 2 ? -swapped.x : swapped.x,
              quarter >= 2 ? -swapped.y : swapped.y);
}

vec2 rotated(vec2 pair, uint i, uint position, uint sequence) {
  const vec2 angle = cos_sin(float(position) * step.inv_freq.at[sequence * step.rope_pairs + i]);
  return vec2(pair.x * angle.x - pair.y * angle.y, pair.y * angle.x + pair.x * angle.y);
}

float scale_of(Words cache, uint page, uint kv_head, uint token) {
  const uint at = scale_index(kv_heads, kv_head, token);
  const vec2 pair = unpackHalf2x16(cache.at[page + at / 2]);
  return (at & 1) == 0 ? pair.x : pair.y;
}
