#version 460
// y = x . W + bias for few rows of x; dense weights too.
// Grid: (columns / (lanes * kColumns), 1). The slices of a workgroup take blocks of W in turn; their sums
// are added in the order of the slices, so the same run gives the same bits. Bottleneck: the memory that
// W streams from, each word once.
#extension GL_GOOGLE_include_directive : require
#ifdef SHUFFLES
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#ifdef F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif
#include "common.glsl"

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint kLanes = 32;
layout(constant_id = 1) const uint kSlices = 1;
layout(constant_id = 9) const uint kBlocksAhead = 1;  // that a slice loads before it uses the first
#include "weights.glsl"
#include "blocks.glsl"

shared float parts[kSlices > 1 ? kSlices * kRows * kColumns * kLanes : 1];

void main() {
  const uint rows = row_count(step, over_wanted);
  if (rows == 0) return;
  const uint lane = gl_LocalInvocationID.x, slice = gl_LocalInvocationID.y;
  const uint first_column = gl_WorkGroupID.x * kLanes * kColumns + lane;
  Sums sums;
  clear(sums);
  // multiply this slice's blocks
  for (uint block = slice; block < blocks; block += kBlocksAhead * kSlices) {
    Stored stored[kBlocksAhead];
    [[unroll]] for (uint i = 0; i < kBlocksAhead; ++i)
      load_block(i == 0 ? block : min(block + i * kSlices, blocks - 1), first_column, stored[i]);
    [[unroll]] for (uint i = 0; i < kBlocksAhead; ++i)
      if (i == 0 || block + i * kSlices < blocks)
        multiply_block(stored[i], block + i * kSlices, 0, rows, lane, sums);
  }

  // share the slices' sums
  if (kSlices > 1) {
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      [[unroll]] for (uint c = 0; c < kColumns; ++c)
        parts[((slice * kRows + r) * kColumns + c) * kLanes + lane] = sums.of[r][c];
    barrier();
  }

  // add them up and store
  if (slice != 0) return;
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const uint column = first_column + c * kLanes;
      float sum = sums.of[r][c];
      for (uint s = 1; s < kSlices; ++s)
        sum += parts[((s * kRows + r) * kColumns + c) * kLanes + lane];
      if (r < rows && column < width) store(r, column, sum);
    }
}
