#version 460
// y' = y + (g y + h) + (x . A) . B with the matrices and vectors of the row's adapter, x . A from
// low_rank_shrink.comp; y where it has none.
// Grid: (blocks of columns, tiles of rows), an invocation for two columns. Bottleneck: latency, then B.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "low_rank.glsl"

layout(constant_id = 3) const uint kCap = 32;

layout(push_constant) uniform Push {
  Floats partials;  // (R, splits, kCap)
  Floats y;         // (R, width)
  Words b;          // (slots, kCap, stride) f16
  Words ranks;      // (slots)
  Floats vectors;   // (slots, 2, width) gain and shift, where has_vectors is not 0
  FloatResults result;  // (R, width)
  Step step;
  uint width;
  uint stride;
  uint splits;
  uint over_wanted;
  uint has_vectors;
};

shared float middle[kTile * kCap];

// What the sum of the element `at`, in column n, is added to.
float start_of(uint slot, uint at, uint n) {
  if (has_vectors == 0 || slot == kNoAdapter) return y.at[at];
  const uint gain = slot * 2 * width + n;
  return y.at[at] + (vectors.at[gain] * y.at[at] + vectors.at[gain + width]);
}

void main() {
  const uint begin = gl_WorkGroupID.y * kTile;
  const uint end = min(begin + kTile, row_count(step, over_wanted));
  const uint n = gl_GlobalInvocationID.x * 2;
  for (uint first = begin; first < end;) {
    const uint slot = adapter_of(step, first, over_wanted);
    const uint last = end_of_run(step, first, end, slot, over_wanted), count = last - first;
    const uint row = first, rank = slot == kNoAdapter ? 0 : ranks.at[slot];
    first = last;
    // the middle, summed over the splits
    for (uint at = gl_LocalInvocationID.x; at < count * kCap; at += gl_WorkGroupSize.x) {
      float sum = 0;
      if (at % kCap < rank)
        for (uint s = 0; s < splits; ++s)
          sum += partials.at[((row + at / kCap) * splits + s) * kCap + at % kCap];
      middle[at] = sum;
    }
    barrier();
    if (n < width) {
      vec2 sum[kTile];
      [[unroll]] for (uint r = 0; r < kTile; ++r) sum[r] = vec2(0);
      for (uint i = 0; i < rank; ++i) {
        const vec2 weights = unpackHalf2x16(b.at[((slot * kCap + i) * stride + n) / 2]);
        [[unroll]] for (uint r = 0; r < kTile; ++r)
          if (r < count) sum[r] += middle[r * kCap + i] * weights;
      }
      [[unroll]] for (uint r = 0; r < kTile; ++r) {
        if (r >= count) break;
        const uint at = (row + r) * width + n;
        const float low = start_of(slot, at, n);
        result.at[at] = rank > 0 ? low + sum[r].x : low;
        if (n + 1 >= width) continue;
        const float high = start_of(slot, at + 1, n + 1);
        result.at[at + 1] = rank > 0 ? high + sum[r].y : high;
      }
    }
    barrier();
  }
}
