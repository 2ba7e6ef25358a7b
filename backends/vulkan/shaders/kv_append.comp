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
layout(constant_id = 4) const uint kRotate = 0;  // keys and queries come unrotated; 2: and rope_scale is not 1

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

const uint kValues = kHeadDim;
const bool kRopeIsScaled = kRotate == 2;
#include "append.glsl"

shared float lane_max[gl_WorkGroupSize.x];

// Element i of the head that begins at x, rotated.
float rotated_at(Floats from, uint x, uint row, uint i) {
  const uint half_dim = kHeadDim / 2, low = x + i % half_dim;
  return rotated(vec2(from.at[low], from.at[low + half_dim]), row, i);
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
        q_rotated.at[first + i] = rotated_at(q, first, row, i);
    return;
  }
  if (head >= kv_heads) return;

  // load the head, rotated where it is a key that comes unrotated
  Floats from = is_key ? k : v;
  WordResults to = is_key ? keys : values;
  const Place place = place_of(is_key, head, row);
  const uint x = (row * kv_heads + head) * kHeadDim;
  for (uint i = lane; i < kHeadDim; i += gl_WorkGroupSize.x)
    value[i] = kRotate != 0 && is_key ? rotated_at(from, x, row, i) : from.at[x + i];
  barrier();

  // max over the head, for i8
  float head_max = 0;
  if (kElements == 4) {
    for (uint i = lane; i < kHeadDim; i += gl_WorkGroupSize.x) head_max = with_size(head_max, value[i]);
    lane_max[lane] = head_max;
    barrier();
    for (uint i = 0; i < gl_WorkGroupSize.x; ++i) head_max = with_size(head_max, lane_max[i]);
  }

  // store the head's words and its scale
  for (uint w = lane; w < kHeadWords; w += gl_WorkGroupSize.x) store_word(to, place, w, 0, head_max);
  if (kElements == 4 && lane == 0) store_scale(to, place, head_max);
}
