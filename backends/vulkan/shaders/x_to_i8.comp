#version 460
// x as two planes of int8 (planes.glsl), for products of few rows.
// Grid: (blocks / group, rows), an invocation for each block. Bottleneck: latency.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "round.glsl"
#include "planes.glsl"

layout(local_size_x_id = 0) in;
#include "weights.glsl"

void main() {
  const uint block = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (block >= blocks || row >= row_count(step, over_wanted)) return;
  const uvec2 here = rows_of_block(block);
  const uint base = row * depth + here.x;
  // load; behind the end of a group there is nothing
  float value[kBlock];
  if (kWholeBlocks != 0) {
    [[unroll]] for (uint q = 0; q < kBlock / 4; ++q) {
      const vec4 four = Vectors(x).at[base / 4 + q];
      [[unroll]] for (uint e = 0; e < 4; ++e) value[4 * q + e] = four[e];
    }
  } else {
    [[unroll]] for (uint i = 0; i < kBlock; ++i) value[i] = i < here.y ? x.at[base + min(i, here.y - 1)] : 0;
  }
  store_planes(WordResults(x_prepared), (row * blocks + block) * kPlaneWords, value);
}
