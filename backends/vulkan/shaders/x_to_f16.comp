#version 460
// x_f16[r][block] = f16(x[r] / row_scale[r]). row_scale[r] is the power of two that brings the row's
// maximum into [2^14, 2^15): no activation overflows f16, and one 2^28 times smaller keeps its bits.
// Grid: (1, rows), a workgroup for each row. Bottleneck: latency, then the memory.
// A block is 32 values in the order in which weights.glsl unpacks its own, pair by pair; those behind the
// end of a group are zero.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "round.glsl"

layout(local_size_x_id = 0) in;
#include "weights.glsl"

shared float lane_max[gl_WorkGroupSize.x];

float value_at(uint base, uvec2 here, uint i) { return i < here.y ? x.at[base + here.x + i] : 0; }

void main() {
  const uint row = first_row + gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
  if (row >= row_count(step, over_wanted)) return;
  const uint base = row * depth;
  // max over the row; infinity where a value is NaN or infinite
  float row_max = 0;
  for (uint i = lane; i < depth; i += gl_WorkGroupSize.x) {
    const float size = abs(x.at[base + i]);
    row_max = is_finite(size) ? max(row_max, size) : uintBitsToFloat(0x7f800000u);
  }
  lane_max[lane] = row_max;
  barrier();
  for (uint i = 0; i < gl_WorkGroupSize.x; ++i)
    row_max = is_finite(lane_max[i]) ? max(row_max, lane_max[i]) : lane_max[i];

  // choose the scale; NaN for a row with a NaN or infinity, so that no product hides it
  const uint exponent = clamp(floatBitsToUint(row_max) >> 23, 15u, 254u);
  const float inverse = uintBitsToFloat((268 - exponent) << 23);
  if (lane == 0)
    FloatResults(row_scales).at[row] = uintBitsToFloat(is_finite(row_max) ? (exponent - 14) << 23 : 0x7fc00000u);

  // convert, a pair at a time
  for (uint i = lane; i < blocks * kPairs; i += gl_WorkGroupSize.x) {
    const uvec2 here = rows_of_block(i / kPairs);
    const uint k = row_of(i % kPairs);
    uint word = 0;
    if (is_finite(row_max))
      word = f16_of_f32(value_at(base, here, k) * inverse) |
             f16_of_f32(value_at(base, here, k + kApart) * inverse) << 16;
    WordResults(x_prepared).at[row * blocks * kPairs + i] = word;
  }
}
