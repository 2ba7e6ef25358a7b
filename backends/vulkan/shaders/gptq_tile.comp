#version 460
// y = x . W + bias for several rows of x on a GPU; dense weights too.
// Grid: (columns / (lanes * kColumns), rows / (tiles * kRows)). A workgroup unpacks a block of its columns
// into shared memory and puts the values of its rows beside it; each invocation multiplies kRows rows with
// kColumns columns from there, sums in f32. With few rows, slices of the workgroup take blocks in turn and
// their sums are added in the order of the slices, so the same run gives the same bits.
// Bottleneck: multiply-adds; with few rows the memory that W streams from.
// With F16 the tile of W is f16, which holds code - zero and an f16 weight exactly; with kXIsF16 so is the
// tile of x (x_to_f16.comp).
#extension GL_GOOGLE_include_directive : require
#ifdef F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#endif
#include "common.glsl"

layout(constant_id = 10) const uint kXIsF16 = 0;
#include "tile.glsl"

// Padded, so that neighbours store to different banks.
const uint kPitch = kTileRows + (kXIsF16 != 0 ? 4 : 2);

shared Pair w_tile[kSlices * kPairs * kTileColumns];  // (slices, pairs, columns)  without the scale
shared float scale_tile[kSlices * kTileColumns];      // (slices, columns)
shared vec2 x_tile[kXIsF16 != 0 ? 1 : kSlices * kPairs * kPitch];  // (slices, pairs, rows)
#ifdef F16
layout(buffer_reference, std430, buffer_reference_align = 8) restrict readonly buffer F16Fours { f16vec4 at[]; };
shared f16vec2 x_tile_f16[kXIsF16 != 0 ? kSlices * kPairs * kPitch : 1];  // (slices, pairs, rows)
#endif

#include "fetched.glsl"

// Unpacks the fetched columns into w_tile, without their scale.
void store_w(uint block, uint slice, uint thread, Fetched fetched) {
  [[unroll]] for (uint i = 0; i < kFetched; ++i) {
    const uint c = thread + i * kThreads;
    if (c >= kTileColumns) continue;
    const vec2 scale = fetched_scale(fetched, i, block);
    scale_tile[slice * kTileColumns + c] = scale.x;
    [[unroll]] for (uint p = 0; p < kPairs; ++p)
      w_tile[(slice * kPairs + p) * kTileColumns + c] =
          fetched_pair(fetched, i, p, scale.y);
  }
}

// Fills x_tile with a block of the tile's rows; neighbouring threads read neighbouring values of a row.
void load_x(uint block, uint slice, uint thread, uint row, uint rows) {
  const uint fours = kBlock / 4;
  const uvec2 here = rows_of_block(block);
  for (uint i = thread; i < kTileRows * fours; i += kThreads) {
    const uint r = i / fours, four = i % fours, from = min(row + r, rows - 1);
#ifdef F16
    if (kXIsF16 != 0) {
      const f16vec4 value = F16Fours(x_prepared).at[(from * blocks + block) * fours + four];
      x_tile_f16[(slice * kPairs + 2 * four) * kPitch + r] = value.xy;
      x_tile_f16[(slice * kPairs + 2 * four + 1) * kPitch + r] = value.zw;
      continue;
    }
#endif
    const uint at = from * depth + here.x, k = 4 * four;
    vec4 value = vec4(0);
    if (kWholeBlocks != 0)
      value = Vectors(x).at[at / 4 + four];
    else
      [[unroll]] for (uint e = 0; e < 4; ++e)
        if (k + e < here.y) value[e] = x.at[at + k + e];
    [[unroll]] for (uint e = 0; e < 4; ++e) {
      const uint pair = (k + e) / (2 * kApart) * kApart + (k + e) % kApart;
      x_tile[(slice * kPairs + pair) * kPitch + r][(k + e) / kApart % 2] = value[e];
    }
  }
}

vec2 x_at(uint i) {
#ifdef F16
  if (kXIsF16 != 0) return vec2(x_tile_f16[i]);
#endif
  return x_tile[i];
}

// sums += x_tile . w_tile, by the columns' scales.
void multiply(uint slice, uint first_row, uint first_column, inout Sums sums) {
  Sums dot;  // of this block; of a dense weight, which has no scale, the whole sum
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) dot.of[r][c] = kQuantised ? 0 : sums.of[r][c];
  for (uint p = 0; p < kPairs; ++p) {
    vec2 value[kRows], weight[kColumns];
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      value[r] = x_at((slice * kPairs + p) * kPitch + first_row + r);
    [[unroll]] for (uint c = 0; c < kColumns; ++c)
      weight[c] = vec2(w_tile[(slice * kPairs + p) * kTileColumns + first_column + c]);
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      [[unroll]] for (uint c = 0; c < kColumns; ++c)
        dot.of[r][c] = fma(value[r].y, weight[c].y, fma(value[r].x, weight[c].x, dot.of[r][c]));
  }
  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    const float scale = scale_tile[slice * kTileColumns + first_column + c];
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      sums.of[r][c] = kQuantised ? fma(scale, dot.of[r][c], sums.of[r][c]) : dot.of[r][c];
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
  fetch_w(min(slice, blocks - 1), thread, tile_column, fetched);
  for (uint first = 0; first < blocks; first += kSlices) {
    const uint block = first + slice;
    if (block < blocks) {
      store_w(block, slice, thread, fetched);
      load_x(block, slice, thread, tile_row, rows);
    }
    barrier();
    // fetch the next block while this one is multiplied
    fetch_w(min(block + kSlices, blocks - 1), thread, tile_column, fetched);
    if (block < blocks) multiply(slice, first_in_tile, lane * kColumns, sums);
    barrier();
  }

  // add up the slices and store
  if (kSlices > 1) add_slices(slice, thread, sums);
  if (slice != 0) return;
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const uint row = tile_row + first_in_tile + r, column = tile_column + lane * kColumns + c;
      if (row >= rows || column >= width) continue;
      store(row, column, kXIsF16 != 0 ? sums.of[r][c] * row_scales.at[row] : sums.of[r][c]);
    }
}
