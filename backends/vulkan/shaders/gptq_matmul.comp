#version 460
// y = x . W + bias for many rows of x on a processor; dense weights too.
// Grid: (columns / (lanes * kColumns), rows / (kRows * tiles)). Each invocation unpacks its columns once
// for kRows rows of x. The other tiles of the workgroup take the next rows and find W in the nearest
// cache. Bottleneck: multiply-adds.
#extension GL_GOOGLE_include_directive : require
#ifdef SHUFFLES
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "common.glsl"

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint kLanes = 32;
layout(constant_id = 1) const uint kTiles = 1;
#include "weights.glsl"
#include "blocks.glsl"

void main() {
  const uint rows = row_count(step, over_wanted);
  const uint lane = gl_LocalInvocationID.x;
  const uint row = first_row + (gl_WorkGroupID.y * kTiles + gl_LocalInvocationID.y) * kRows;
  if (row >= rows) return;
  const uint first_column = gl_WorkGroupID.x * kLanes * kColumns + lane;
  Sums sums;
  clear(sums);
  for (uint block = 0; block < blocks; ++block) {
    Stored stored;
    load_block(block, first_column, stored);
    multiply_block(stored, block, row, rows, lane, sums);
  }
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const uint column = first_column + c * kLanes;
      if (row + r < rows && column < width) store(row + r, column, sums.of[r][c]);
    }
}
