#version 460
// Row r's keys and values become entry position % T of page[position / T], for pages of T tokens; i8 codes are
// round(x * 127 / max|x|) with the scale max|x| / 127 in f16.
// Grid: (kv_heads, rows, 2), a workgroup for each head of keys or of values. Bottleneck: latency.
// With kRotate it replaces the rope nodes of queries and keys before it. The grid then has a third plane for
// the queries, (max(heads, kv_heads), rows, 3). Saves two dispatches and a barrier.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "cache.glsl"
#include "round.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 4) const uint kRotate = 0;  // keys and queries come unrotated

layout(push_constant) uniform Push {
  Floats k;  // (R, kv_heads, d)
  Floats v;  // (R, kv_heads, d)
  WordResults keys;
  WordResults values;
  Floats q;          // (R, heads, d)
  FloatResults q_rotated;  // (R, heads, d)
  Step step;
  uint kv_heads;
  uint heads;
  float rope_scale;
};

shared float lane_max[gl_WorkGroupSize.x];
shared float value[kHeadDim];

// Element i of the head that begins at x, rotated as rope.comp does it.
float rotated(Floats from, uint x, uint row, uint i) {
  const uint half_dim = kHeadDim / 2, pair = i % half_dim;
  const uint angle = (row * step.rope_pairs + pair) * 2;
  const float scale = rope_scale_of(step, row, pair, rope_scale);
  const float c = step.angles.at[angle] * scale, t = step.angles.at[angle + 1] * scale;
  const float a = from.at[x + pair], b = from.at[x + pair + half_dim];
  return i < half_dim ? a * c - b * t : b * c + a * t;
}

void main() {
  const uint head = gl_WorkGroupID.x, row = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
  const bool is_key = gl_WorkGroupID.z == 0;
  if (row >= step.rows) return;

  // rotate a head of queries
  if (kRotate != 0 && gl_WorkGroupID.z == 2) {
    const uint first = (row * heads + head) * kHeadDim;
    if (head < heads)
      for (uint i = lane; i < kHeadDim; i += gl_WorkGroupSize.x)
        q_rotated.at[first + i] = rotated(q, first, row, i);
    return;
  }
  if (head >= kv_heads) return;

  // load the head, rotated where it is a key that comes unrotated
  const uint position = step.position.at[row], token = position % kPageTokens;
  const uint page =
      step.page.at[step.sequence.at[row] * step.pages_per_sequence + position / kPageTokens];
  Floats from = is_key ? k : v;
  WordResults to = is_key ? keys : values;
  const uint x = (row * kv_heads + head) * kHeadDim;
  for (uint i = lane; i < kHeadDim; i += gl_WorkGroupSize.x)
    value[i] = kRotate != 0 && is_key ? rotated(from, x, row, i) : from.at[x + i];
  barrier();

  // max over the head, for i8; infinity where a value is NaN or infinite
  float head_max = 0;
  if (kElements == 4) {
    for (uint i = lane; i < kHeadDim; i += gl_WorkGroupSize.x) {
      const float size = abs(value[i]);
      head_max = is_finite(size) ? max(head_max, size) : uintBitsToFloat(0x7f800000u);
    }
    lane_max[lane] = head_max;
    barrier();
    for (uint i = 0; i < gl_WorkGroupSize.x; ++i)
      head_max = is_finite(lane_max[i]) ? max(head_max, lane_max[i]) : lane_max[i];
  }

  // store the head's words
  const uint base = page * page_words(kv_heads);
  for (uint w = lane; w < kHeadWords; w += gl_WorkGroupSize.x) {
    uint word = 0;
    if (kElements == 1) {
      word = floatBitsToUint(value[w]);
    } else if (kElements == 2) {
      word = f16_of_f32(value[2 * w]) | f16_of_f32(value[2 * w + 1]) << 16;
    } else if (head_max > 0 && is_finite(head_max)) {
      for (uint i = 0; i < 4; ++i)
        word |= (uint(int(roundEven(value[4 * w + i] * 127 / head_max))) & 0xffu) << 8 * i;
    }
    const uint entry = is_key ? (head * kHeadWords + w) * kPageTokens + token
                              : (head * kPageTokens + token) * kHeadWords + w;
    to.at[base + entry] = word;
  }

  // store the scale. A code cannot be NaN, but the scale can: a NaN activation then shows in the logits.
  // Another token's invocation may write the other half of the word, so atomics: their order does not
  // change the bits.
  if (kElements == 4 && lane == 0) {
    const uint scale = is_finite(head_max) ? f16_of_f32(head_max / 127) : 0x7e00u;
    const uint at = scale_index(kv_heads, head, token), shift = 16 * (at & 1);
    atomicAnd(to.at[base + at / 2], ~(0xffffu << shift));
    atomicOr(to.at[base + at / 2], scale << shift);
  }
}
