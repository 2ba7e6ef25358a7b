#version 460
// y = x . W + bias for many rows of x on matrix cores; dense f16 weights too. x is f16 (x_to_f16.comp), and so
// is the tile of W, which holds code - zero and an f16 weight exactly; sums are f32.
// Grid: (columns / kTileColumns, rows / kTileRows). A workgroup unpacks a block of its columns into shared
// memory and puts the same block of its rows beside it; each subgroup multiplies kRows x kColumns tiles of 16 x
// 16 from there, while the next block is on its way to a second buffer. With few rows, slices of the workgroup
// take blocks in turn and their sums are added in the order of the slices.
// Bottleneck: multiplications of tiles; with few rows the memory that W streams from.
//
//   tiles   (2, slices, rows of x, then columns of W)   kPitch vectors each: 32 f16 and a gap
//           at the end (slices, subgroups, 16 rows)     kSumPitch vectors each: kColumns * 16 f32 and a gap
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "cooperative.glsl"
#define F16
#include "common.glsl"

layout(local_size_x_id = 0, local_size_y_id = 1, local_size_z_id = 9) in;
layout(constant_id = 0) const uint kSubgroupLanes = 64;
layout(constant_id = 1) const uint kSubgroups = 4;      // of a slice
layout(constant_id = 9) const uint kSlices = 1;
layout(constant_id = 10) const uint kAcross = 2;  // subgroups side by side
#define WIDE_ADDRESSES
#include "weights.glsl"

const uint kTileRows = kSubgroups / kAcross * kRows * 16, kTileColumns = kAcross * kColumns * 16;
const uint kThreads = kSubgroupLanes * kSubgroups;  // of a slice
#include "fetched.glsl"

const uint kPitch = kBlock / 8 + 1, kSumPitch = kColumns * 4 + 1;
const uint kBuffer = (kTileRows + kTileColumns) * kPitch;
const uint kSums = kSubgroups * 16 * kSumPitch;
shared uvec4 tiles[kSlices * (2 * kBuffer > kSums ? 2 * kBuffer : kSums)];
shared float scale_tile[2 * kSlices * kTileColumns];
#include "matrix.glsl"

// Vectors of x that a thread brings for a block.
const uint kXVectors = kBlock / 8, kXFetched = (kTileRows * kXVectors + kThreads - 1) / kThreads;

struct XPlaces {
  uint of[kXFetched];  // of the first block, in bytes
};
void find_x(uint thread, uint tile_row, uint rows, out XPlaces places) {
  UNROLL for (uint i = 0; i < kXFetched; ++i) {
    const uint at = thread + i * kThreads, row = min(tile_row + at / kXVectors, rows - 1);
    places.of[i] = (row * blocks * kXVectors + at % kXVectors) * 16;
  }
}
void fetch_x(uint block, XPlaces places, out uvec4 fetched[kXFetched]) {
  const uint64_t first = uint64_t(x_prepared) + uint64_t(block) * (kXVectors * 16);
  UNROLL for (uint i = 0; i < kXFetched; ++i) fetched[i] = Quad(first + places.of[i]).of;
}

void store_fetched(uint block, uint part, uint thread, Fetched w, uvec4 x_vectors[kXFetched]) {
  const uint first = part * kBuffer;
  UNROLL for (uint i = 0; i < kXFetched; ++i) {
    const uint at = thread + i * kThreads;
    if (at < kTileRows * kXVectors) tiles[first + at / kXVectors * kPitch + at % kXVectors] = x_vectors[i];
  }
  UNROLL for (uint i = 0; i < kFetched; ++i) {
    const uint c = thread + i * kThreads;
    if (c >= kTileColumns) continue;
    const vec2 scale = fetched_scale(w, i, block);
    scale_tile[part * kTileColumns + c] = scale.x;
    UNROLL for (uint v = 0; v < kBlock / 8; ++v) {
      uvec4 eight;
      UNROLL for (uint e = 0; e < 4; ++e) eight[e] = packFloat2x16(fetched_pair(w, i, 4 * v + e, scale.y));
      tiles[first + (kTileRows + c) * kPitch + v] = eight;
    }
  }
}

// sums += a block of x . W, from buffer `part`.
void multiply_block(uint part, uint x_first, uint w_first, MatrixSum zero, inout MatrixSum sums[kRows][kColumns]) {
  const uint x_at = part * kBuffer + x_first * kPitch;
  const uint w_at = part * kBuffer + (kTileRows + w_first) * kPitch;
  MatrixX x_matrix[kRows][2];
  UNROLL for (uint i = 0; i < kRows; ++i)
    UNROLL for (uint k = 0; k < 2; ++k)
      load_x(x_matrix[i][k], x_at + i * kEdge * kPitch + k * kEdgeVectors, kPitch);
  UNROLL for (uint j = 0; j < kColumns; ++j) {
    MatrixW low;  // of the block's rows; glslang 13 mistakes the type of a second name in a list
    MatrixW high;
    load_w(low, w_at + j * kEdge * kPitch, kPitch);
    load_w(high, w_at + j * kEdge * kPitch + kEdgeVectors, kPitch);
    MatrixSum scale;
    if (kQuantised) {
      load_by_column(scale, scale_tile, part * kTileColumns + w_first + j * kEdge);
    }
    UNROLL for (uint i = 0; i < kRows; ++i) {
      if (kQuantised) {
        MatrixSum dot;
        multiply(x_matrix[i][0], low, zero, dot);
        multiply_add(x_matrix[i][1], high, dot);
        add_scaled(sums[i][j], scale, dot);
      } else {
        multiply_add(x_matrix[i][0], low, sums[i][j]);
        multiply_add(x_matrix[i][1], high, sums[i][j]);
      }
    }
  }
}

void main() {
  const uint rows = row_count(step, over_wanted);
  const uint tile_row = first_row + gl_WorkGroupID.y * kTileRows;
  const uint tile_column = gl_WorkGroupID.x * kTileColumns;
  if (tile_row >= rows) return;
  // what this invocation loads, and what its subgroup multiplies
  const uint thread = gl_LocalInvocationIndex % kThreads, subgroup = subgroup_index() % kSubgroups;
  const uint slice = kSlices == 1 ? 0 : subgroup_index() / kSubgroups;  // the same for a subgroup
  const uint x_first = subgroup / kAcross * kRows * kEdge, w_first = subgroup % kAcross * kColumns * kEdge;
  MatrixSum zero;  // not known to the compiler, which would copy a constant for each product
  set_sum(zero, uintBitsToFloat(gl_LocalInvocationIndex >> 16));
  MatrixSum sums[kRows][kColumns];
  UNROLL for (uint i = 0; i < kRows; ++i)
    UNROLL for (uint j = 0; j < kColumns; ++j) set_sum(sums[i][j], 0.0);

  XPlaces x_places;
  find_x(thread, tile_row, rows, x_places);
  // A turn takes two blocks, so that each buffer's place is a constant; the first time there is nothing to
  // multiply yet.
  for (uint turn = 0; turn < blocks + kSlices; turn += 2 * kSlices)
    UNROLL for (uint part = 0; part < 2; ++part) {
      barrier();  // the other buffer is whole, and this one is no longer read
      const uint next = turn + part * kSlices + slice, block = next - kSlices;
      Fetched w;
      uvec4 x_vectors[kXFetched];
      fetch_w(min(next, blocks - 1), thread, tile_column, w);
      fetch_x(min(next, blocks - 1), x_places, x_vectors);
      if (block < blocks) multiply_block((1 - part) * kSlices + slice, x_first, w_first, zero, sums);
      if (next < blocks) store_fetched(next, part * kSlices + slice, thread, w, x_vectors);
    }

  // add up the slices and store, 16 rows of each subgroup at a time
  const uint across = kColumns * kEdge;
  UNROLL for (uint i = 0; i < kRows; ++i) {
    barrier();
    UNROLL for (uint j = 0; j < kColumns; ++j)
      store_sum(sums[i][j], subgroup_index() * kEdge * kSumPitch + j * (kEdge / 4), kSumPitch);
    barrier();
    for (uint n = gl_LocalInvocationIndex; n < kSubgroups * kEdge * across; n += kThreads * kSlices) {
      const uint c = n % across, r = n / across % kEdge, of = n / across / kEdge;
      float sum = 0;
      for (uint s = 0; s < kSlices; ++s)
        sum += uintBitsToFloat(tiles[((s * kSubgroups + of) * kEdge + r) * kSumPitch + c / 4][c % 4]);
      const uint row = tile_row + (of / kAcross * kRows + i) * kEdge + r;
      const uint column = tile_column + of % kAcross * across + c;
      if (row < rows && column < width) store(row, column, sum * row_scales.at[row]);
    }
  }
}
