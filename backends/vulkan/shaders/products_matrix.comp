#version 460
// Multiplies tiles of 16 x 16 from registers: the ceiling that products on matrix cores are compared with
// (gptq_matrix.comp), f16 with sums in f32.
// Grid: (groups, 1). Each subgroup keeps kChains sums whose steps do not depend on one another.
// Bottleneck: multiplications of tiles, on purpose.
#extension GL_GOOGLE_include_directive : require
#include "cooperative.glsl"
#include "common.glsl"

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint kSubgroupLanes = 64;
layout(constant_id = 1) const uint kSubgroups = 4;
const uint kFactors = 4, kChains = 2 * kFactors;

layout(push_constant) uniform Push {
  FloatResults result;
  uint rounds;  // of kChains multiplications
};

const uint kPitch = 3, kTile = 16 * kPitch;  // vectors: 16 f16 and a gap
shared uvec4 tiles[kSubgroups * kTile * 2 > (kFactors + 2) * kTile ? kSubgroups * kTile * 2 : (kFactors + 2) * kTile];
#include "matrix.glsl"

void main() {
  const uint threads = kSubgroupLanes * kSubgroups;
  for (uint n = gl_LocalInvocationIndex; n < (kFactors + 2) * kTile; n += threads)
    tiles[n] = uvec4(packFloat2x16(f16vec2(float(n % 7) * 0.25, -0.5)));
  barrier();
  MatrixX x[kFactors];
  MatrixW w[2];
  UNROLL for (uint f = 0; f < kFactors; ++f) load_x(x[f], f * kTile, kPitch);
  UNROLL for (uint f = 0; f < 2; ++f) load_w(w[f], (kFactors + f) * kTile, kPitch);
  MatrixSum sums[kChains];
  UNROLL for (uint c = 0; c < kChains; ++c) set_sum(sums[c], float(c));
  for (uint r = 0; r < rounds; ++r)
    UNROLL for (uint c = 0; c < kChains; ++c) multiply_add(x[c / 2], w[c % 2], sums[c]);
  barrier();
  float all = 0;
  UNROLL for (uint c = 0; c < kChains; ++c) {
    store_sum(sums[c], subgroup_index() * kTile * 2, kPitch * 2);
    all += uintBitsToFloat(tiles[subgroup_index() * kTile * 2][0]);
  }
  if (all == -1) result.at[0] = all;  // the compiler cannot know that it never is
}
