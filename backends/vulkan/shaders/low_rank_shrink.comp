#version 460
// Partial sums of x . A with the matrix of the row's adapter, for low_rank_expand.comp.
// Grid: (panels of 32 ranks, splits of K, tiles of rows). 16 invocations take two ranks of a row of A
// each, the others further rows; their sums meet in shared memory. Bottleneck: latency, then A.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "low_rank.glsl"

layout(push_constant) uniform Push {
  Floats x;                // (R, depth)
  Words a;                 // (slots, depth, cap) f16
  Words ranks;             // (slots)
  FloatResults partials;   // (R, splits, cap)
  Step step;
  uint depth;
  uint cap;
  uint splits;
  uint over_wanted;
};

const uint kPairs = 16;  // of a panel

shared vec2 sums[kTile * gl_WorkGroupSize.x];

void main() {
  const uint begin = gl_WorkGroupID.z * kTile;
  const uint end = min(begin + kTile, row_count(step, over_wanted));
  const uint lane = gl_LocalInvocationID.x, at_once = gl_WorkGroupSize.x / kPairs;
  const uint panel = gl_WorkGroupID.x * 32, rank = panel + lane % kPairs * 2;
  const uint part = (depth + splits - 1) / splits;
  const uint first_k = gl_WorkGroupID.y * part, last_k = min(first_k + part, depth);
  for (uint first = begin; first < end;) {
    const uint slot = adapter_of(step, first, over_wanted);
    const uint last = end_of_run(step, first, end, slot, over_wanted), count = last - first;
    const uint row = first;
    first = last;
    if (slot == kNoAdapter || panel >= ranks.at[slot]) continue;
    vec2 sum[kTile];
    [[unroll]] for (uint r = 0; r < kTile; ++r) sum[r] = vec2(0);
    for (uint k = first_k + lane / kPairs; k < last_k; k += at_once) {
      const vec2 weights = unpackHalf2x16(a.at[((slot * depth + k) * cap + rank) / 2]);
      [[unroll]] for (uint r = 0; r < kTile; ++r)
        if (r < count) sum[r] += x.at[(row + r) * depth + k] * weights;
    }
    [[unroll]] for (uint r = 0; r < kTile; ++r) sums[r * gl_WorkGroupSize.x + lane] = sum[r];
    barrier();
    // a row and a pair of ranks for each invocation
    for (uint i = lane; i < count * kPairs; i += gl_WorkGroupSize.x) {
      const uint r = i / kPairs, pair = i % kPairs;
      vec2 all = vec2(0);
      for (uint part_of = 0; part_of < at_once; ++part_of)
        all += sums[r * gl_WorkGroupSize.x + part_of * kPairs + pair];
      const uint to = ((row + r) * splits + gl_WorkGroupID.y) * cap + panel + pair * 2;
      partials.at[to] = all.x;
      partials.at[to + 1] = all.y;
    }
    barrier();
  }
}
