#version 460
// sum = sum * 0.999 + start, from registers: the ceiling that matrix products are compared with.
// Grid: (groups, 1). Each invocation keeps kChains sums whose steps do not depend on one another.
// Bottleneck: multiply-adds, on purpose.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;
const uint kChains = 16;
const uint kUnrolled = 16;

layout(push_constant) uniform Push {
  FloatResults result;
  uint rounds;  // of kChains * kUnrolled multiply-adds
};

void main() {
  float sum[kChains];
  const float start = float(gl_LocalInvocationID.x) * 1e-3;
  [[unroll]] for (uint c = 0; c < kChains; ++c) sum[c] = start + float(c);
  for (uint r = 0; r < rounds; ++r)
    [[unroll]] for (uint i = 0; i < kUnrolled; ++i)
      [[unroll]] for (uint c = 0; c < kChains; ++c) sum[c] = fma(sum[c], 0.999, start);
  float all = 0;
  [[unroll]] for (uint c = 0; c < kChains; ++c) all += sum[c];
  if (all == -1) result.at[0] = all;  // never true, but the compiler cannot know
}
