#version 460
// halves[r][block] = f16(x[r] / row_scale[r]), row_scale[r] being the power of two that takes the row's
// maximum to [2^14, 2^15): no activation overflows f16, and what is 2^28 times smaller keeps its bits.
// Grid: (1, rows), a workgroup for each row. Bottleneck: latency, then the memory.
// A block is 32 values, those behind the end of a group being zero, in the order in which weights.glsl
// unpacks theirs: pair by pair.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "round.glsl"

layout(local_size_x_id = 0) in;
#include "weights.glsl"

shared float maxima[gl_WorkGroupSize.x];

float value_at(uint base, uvec2 here, uint i) { return i < here.y ? x.at[base + here.x + i] : 0; }

void main() {
  const uint row = first_row + gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
  if (row >= row_count(step, over_wanted)) return;
  const uint base = row * depth;
  float most = 0;
  for (uint i = lane; i < depth; i += gl_WorkGroupSize.x) {
    const float size = abs(x.at[base + i]);
    most = finite(size) ? max(most, size) : uintBitsToFloat(0x7f800000u);
  }
  maxima[lane] = most;
  barrier();
  for (uint i = 0; i < gl_WorkGroupSize.x; ++i)
    most = finite(maxima[i]) ? max(most, maxima[i]) : maxima[i];

  // f16 has no number for a broken activation that a product could not hide; the scale does.
  const uint exponent = clamp(floatBitsToUint(most) >> 23, 15u, 254u);
  const float inverse = uintBitsToFloat((268 - exponent) << 23);
  if (lane == 0)
    row_scales.at[row] = uintBitsToFloat(finite(most) ? (exponent - 14) << 23 : 0x7fc00000u);
  for (uint i = lane; i < blocks * kPairs; i += gl_WorkGroupSize.x) {
    const uvec2 here = rows_of_block(i / kPairs);
    const uint k = row_of(i % kPairs);
    uint word = 0;
    if (finite(most))
      word = f16_of_f32(value_at(base, here, k) * inverse) |
             f16_of_f32(value_at(base, here, k + kApart) * inverse) << 16;
    halves.at[row * blocks * kPairs + i] = word;
  }
}
