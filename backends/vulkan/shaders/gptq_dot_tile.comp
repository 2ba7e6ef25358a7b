#version 460
// y = x . W + bias for more than 8 rows of x and codes of 4 bits, in integers as gptq_lean.comp has it.
// Grid: (columns / (lanes * kColumns), rows / (tiles * kRows)). A workgroup puts a block of its columns, a byte
// a code, and the planes of its rows (planes.glsl) into shared memory; each invocation multiplies kRows rows
// with kColumns columns from there. With few rows, slices of the workgroup take blocks in turn and their sums
// are added in the order of the slices.
// Bottleneck: dot products; with few rows the memory that W streams from.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "dot.glsl"

#include "tile.glsl"

const uint kPlaneQuads = 5;  // of a block: four of planes, one with scale and sum

shared uvec4 w_tile[kSlices * 2 * kTileColumns];            // (slices, even and odd rows, columns)
shared vec2 scale_tile[kSlices * kTileColumns];             // (slices, columns)  scale and zero
shared uvec4 x_tile[kSlices * kPlaneQuads * kTileRows];     // (slices, quads, rows)

// What a thread brings for a block, as it lies in memory.
const uint kColumnsFetched = (kTileColumns + kThreads - 1) / kThreads;
const uint kQuadsFetched = (kPlaneQuads * kTileRows + kThreads - 1) / kThreads;
struct Fetched {
  uvec4 code[kColumnsFetched];
  uvec2 scale[kColumnsFetched];  // its words: to unpack them would wait for them
  uvec4 quad[kQuadsFetched];
};

void fetch(uint block, uint thread, uint tile_row, uint tile_column, uint rows, out Fetched fetched) {
  [[unroll]] for (uint i = 0; i < kColumnsFetched; ++i) {
    const uint column = min(tile_column + thread + i * kThreads, width - 1);
    fetched.code[i] = Quads(codes).at[block * width + column];
    fetched.scale[i] = load_scale_words(block, column);
  }
  [[unroll]] for (uint i = 0; i < kQuadsFetched; ++i) {
    const uint at = thread + i * kThreads, row = min(tile_row + at / kPlaneQuads, rows - 1);
    fetched.quad[i] = Quads(x_prepared).at[(row * blocks + block) * kPlaneQuads + at % kPlaneQuads];
  }
}

void store_fetched(uint block, uint slice, uint thread, Fetched fetched) {
  [[unroll]] for (uint i = 0; i < kColumnsFetched; ++i) {
    const uint c = thread + i * kThreads;
    if (c >= kTileColumns) continue;
    uvec4 even, odd;
    [[unroll]] for (uint w = 0; w < 4; ++w) {
      even[w] = even_codes(fetched.code[i][w]);
      odd[w] = odd_codes(fetched.code[i][w]);
    }
    w_tile[(slice * 2) * kTileColumns + c] = even;
    w_tile[(slice * 2 + 1) * kTileColumns + c] = odd;
    scale_tile[slice * kTileColumns + c] =
        scale_and_zero(fetched.scale[i].x, fetched.scale[i].y, group_of(block));
  }
  [[unroll]] for (uint i = 0; i < kQuadsFetched; ++i) {
    const uint at = thread + i * kThreads;
    if (at < kPlaneQuads * kTileRows)
      x_tile[(slice * kPlaneQuads + at % kPlaneQuads) * kTileRows + at / kPlaneQuads] = fetched.quad[i];
  }
}

// sums += x_tile . w_tile
void multiply(uint slice, uint first_row, uint first_column, inout Sums sums) {
  uvec4 even[kColumns], odd[kColumns];
  vec2 scale[kColumns];
  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    even[c] = w_tile[slice * 2 * kTileColumns + first_column + c];
    odd[c] = w_tile[(slice * 2 + 1) * kTileColumns + first_column + c];
    scale[c] = scale_tile[slice * kTileColumns + first_column + c];
  }
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    int high[kColumns], low[kColumns];
    [[unroll]] for (uint c = 0; c < kColumns; ++c) high[c] = low[c] = 0;
    [[unroll]] for (uint w = 0; w < 4; ++w) {
      const uvec4 plane = x_tile[(slice * kPlaneQuads + w) * kTileRows + first_row + r];
      [[unroll]] for (uint c = 0; c < kColumns; ++c) {
        high[c] = dot4(int(even[c][w]), int(plane.x), high[c], 0);
        high[c] = dot4(int(odd[c][w]), int(plane.y), high[c], 0);
        low[c] = dot4(int(even[c][w]), int(plane.z), low[c], 0);
        low[c] = dot4(int(odd[c][w]), int(plane.w), low[c], 0);
      }
    }
    const vec2 tail = uintBitsToFloat(x_tile[(slice * kPlaneQuads + 4) * kTileRows + first_row + r].xy);
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const float whole = fma(-scale[c].y, tail.y, float((high[c] << 8) + low[c]));
      sums.of[r][c] = fma(scale[c].x * tail.x, whole, sums.of[r][c]);
    }
  }
}

void main() {
  const uint rows = row_count(step, over_wanted);
  const uint lane = gl_LocalInvocationID.x, slice = gl_LocalInvocationID.z;
  const uint thread = gl_LocalInvocationID.y * kLanes + lane;
  const uint first_in_tile = gl_LocalInvocationID.y * kRows;
  const uint tile_row = first_row + gl_WorkGroupID.y * kTileRows;
  const uint tile_column = gl_WorkGroupID.x * kTileColumns;
  if (tile_row >= rows) return;
  Sums sums;
  clear(sums);
  Fetched fetched;
  fetch(min(slice, blocks - 1), thread, tile_row, tile_column, rows, fetched);
  for (uint first = 0; first < blocks; first += kSlices) {
    const uint block = first + slice;
    if (block < blocks) store_fetched(block, slice, thread, fetched);
    barrier();
    // fetch the next block while this one is multiplied
    fetch(min(block + kSlices, blocks - 1), thread, tile_row, tile_column, rows, fetched);
    if (block < blocks) multiply(slice, first_in_tile, lane * kColumns, sums);
    barrier();
  }

  // add up the slices and store
  if (kSlices > 1) add_slices(slice, thread, sums);
  if (slice != 0) return;
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const uint row = tile_row + first_in_tile + r, column = tile_column + lane * kColumns + c;
      if (row < rows && column < width) store(row, column, sums.of[r][c]);
    }
}
