// A workgroup's tile of a product: kTileRows rows of x by kTileColumns columns of W, and its slices of the
// sum, each with invocations of its own.
layout(local_size_x_id = 0, local_size_y_id = 1, local_size_z_id = 9) in;
layout(constant_id = 0) const uint kLanes = 16;
layout(constant_id = 1) const uint kTiles = 8;
layout(constant_id = 9) const uint kSlices = 1;
#include "weights.glsl"

const uint kTileRows = kTiles * kRows, kTileColumns = kLanes * kColumns;
const uint kThreads = kLanes * kTiles;  // of a slice

shared float parts[kSlices > 1 ? kTileRows * kTileColumns : 1];

// Adds the sums of the other slices to those of slice 0.
void add_slices(uint slice, uint thread, inout Sums sums) {
  for (uint s = 1; s < kSlices; ++s) {
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      [[unroll]] for (uint c = 0; c < kColumns; ++c)
        if (slice == s) parts[(r * kColumns + c) * kThreads + thread] = sums.of[r][c];
    barrier();
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      [[unroll]] for (uint c = 0; c < kColumns; ++c)
        if (slice == 0) sums.of[r][c] += parts[(r * kColumns + c) * kThreads + thread];
    barrier();
  }
}
