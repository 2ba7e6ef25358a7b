// What the two attention shaders share: one for rows that are alone in their sequence (attention.comp), one
// for tiles of a prompt's rows (attention_tile.comp).
layout(constant_id = 4) const uint kOnRead = 0;  // keys are cached unrotated
layout(constant_id = 5) const uint kWhole = 1;   // one split and no order: write y itself

layout(push_constant) uniform Push {
  Floats q;  // (R, heads, d)
  Words keys;
  Words values;
  Floats y;        // (R, heads, d)
  Floats partial;  // (R, heads, splits, 2 + d)  maximum, sum, output
  Step step;
  uint heads;
  uint kv_heads;
  uint splits;
  float scale;
  uint first_row;      // of this dispatch: what is too large for a submission is cut into several
  uint after_prompts;  // rows count from the end of those of prompts
};

// Lanes beside one another take the words of a value; the rest of them take other keys.
const uint kLanesOfValue = kHeadWords < kLanes ? kHeadWords : kLanes;
const uint kParts = kLanes / kLanesOfValue;
const uint kWordsOfLane = (kHeadWords + kLanesOfValue - 1) / kLanesOfValue;

// Cosine and sine, good to 2e-7 for angles up to some 25000: what the standard demands of sin() is
// too little. Angle = n * pi/2 + rest, the reduction in three steps whose products are exact.
// Polynomials: Cephes (sinf.c).
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
  const vec2 turned = (quarter & 1u) == 0 ? vec2(c, s) : vec2(s, c);
  return vec2(quarter == 1 || quarter == 2 ? -turned.x : turned.x,
              quarter >= 2 ? -turned.y : turned.y);
}

// Keys of a lane that are multiplied together, so that a query is read once for all of them; where
// they are turned on the way, that is most of the work.
const uint kKeysAtOnce = kOnRead != 0 ? 1 : 4;

vec2 rotated(vec2 pair, uint i, uint position, uint sequence) {
  const vec2 turn =
      cos_sin(float(position) * step.inv_freq.at[sequence * (kHeadDim / 2) + i]);
  return vec2(pair.x * turn.x - pair.y * turn.y, pair.y * turn.x + pair.x * turn.y);
}

float scale_of(Words cache, uint page, uint kv_head, uint token) {
  const uint at = scale_index(kv_heads, kv_head, token);
  const vec2 pair = unpackHalf2x16(cache.at[page + at / 2]);
  return (at & 1) == 0 ? pair.x : pair.y;
}
