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

shared uint w_tile[kSlices * 8 * kTileColumns];          // (slices, words, even and odd rows, columns)
shared vec2 scale_tile[kSlices * kTileColumns];          // (slices, columns)  scale and zero
shared uvec4 x_tile[kSlices * kPlaneQuads * kTileRows];  // (slices, quads, rows)

// What a thread brings for a block, as it lies in memory.
const uint kColumnsFetched = (kTileColumns + kThreads - 1) / kThreads;
const uint kQuadsFetched = (kPlaneQuads * kTileRows + kThreads - 1) / kThreads;
struct Fetched {
  uvec4 code[kColumnsFetched];
  vec2 scale[kColumnsFetched];
  uvec4 quad[kQuadsFetched];
};

void fetch(uint block, uint thread, uint tile_row, uint tile_column, uint rows, out Fetched fetched) {
  [[unroll]] for (uint i = 0; i < kColumnsFetched; ++i) {
    const uint column = min(tile_column + thread + i * kThreads, width - 1);
    fetched.code[i] = Quads(codes).at[block * width + column];
    fetched.scale[i] = stored_scale(block, column);
  }
  [[unroll]] for (uint i = 0; i < kQuadsFetched; ++i) {
    const uint at = thread + i * kThreads, row = min(tile_row + at / kPlaneQuads, rows - 1);
    fetched.quad[i] = Quads(x_prepared).at[(row * blocks + block) * kPlaneQuads + at % kPlaneQuads];
  }
}

void store_fetched(uint slice, uint thread, Fetched fetched) {
  [[unroll]] for (uint i = 0; i < kColumnsFetched; ++i) {
    const uint c = thread + i * kThreads;
    if (c >= kTileColumns) continue;
    [[unroll]] for (uint w = 0; w < 4; ++w) {
      w_tile[(slice * 8 + 2 * w) * kTileColumns + c] = even_codes(fetched.code[i][w]);
      w_tile[(slice * 8 + 2 * w + 1) * kTileColumns + c] = odd_codes(fetched.code[i][w]);
    }
    scale_tile[slice * kTileColumns + c] = fetched.scale[i];
  }
  [[unroll]] for (uint i = 0; i < kQuadsFetched; ++i) {
    const uint at = thread + i * kThreads;
    if (at < kPlaneQuads * kTileRows)
      x_tile[(slice * kPlaneQuads + at % kPlaneQuads) * kTileRows + at / kPlaneQuads] = fetched.quad[i];
  }
}

// sums += x_tile . w_tile
void multiply(uint slice, uint first_row, uint first_column, inout Sums sums) {
  int high[kRows][kColumns], low[kRows][kColumns];
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      high[r][c] = 0;
      low[r][c] = 0;
    }
  for (uint w = 0; w < 4; ++w) {
    int even[kColumns], odd[kColumns];
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      even[c] = int(w_tile[(slice * 8 + 2 * w) * kTileColumns + first_column + c]);
      odd[c] = int(w_tile[(slice * 8 + 2 * w + 1) * kTileColumns + first_column + c]);
    }
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      const uvec4 plane = x_tile[(slice * kPlaneQuads + w) * kTileRows + first_row + r];
      [[unroll]] for (uint c = 0; c < kColumns; ++c) {
        high[r][c] = dot4(even[c], int(plane.x), high[r][c], 0);
        high[r][c] = dot4(odd[c], int(plane.y), high[r][c], 0);
        low[r][c] = dot4(even[c], int(plane.z), low[r][c], 0);
        low[r][c] = dot4(odd[c], int(plane.w), low[r][c], 0);
      }
    }
  }
  // scale
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    const vec2 tail = uintBitsToFloat(x_tile[(slice * kPlaneQuads + 4) * kTileRows + first_row + r].xy);
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const vec2 scale = scale_tile[slice * kTileColumns + first_column + c];
      const float whole = fma(-scale.y, tail.y, float((high[r][c] << 8) + low[r][c]));
      sums.of[r][c] = fma(scale.x * tail.x, whole, sums.of[r][c]);
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
    if (block < blocks) store_fetched(slice, thread, fetched);
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
