// finish.cuh — what becomes of a product's sums: partial sums of splits are added in order, then
// the epilogue runs, by the thread block that arrives last at what is finished together.
//
// No float is added atomically: a step has the same bits every time.
#pragma once

#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/shared.cuh"
#include "backends/cuda/gptq/stream.cuh"
#include "backends/cuda/ops/append.cuh"

namespace ropewalk::cuda::gptq {

// What a thread block makes: tile `x` of all parts' for a row block, or kWideTiles of them, over a
// run of K. Row blocks are the fastest: those that read the same codes do so at about the same
// time, so that memory is asked for them once, though they are not kept in the second-level cache.
struct Place {
  uint32_t x, split, row_block;
};
__device__ __forceinline__ Place place_of(const Division& division) {
  const uint32_t row_blocks = division.row_blocks;
  // A decode step does without the division.
  if (row_blocks == 1) return {blockIdx.x, blockIdx.y, 0};
  return {blockIdx.x / row_blocks, blockIdx.y, blockIdx.x % row_blocks};
}

__device__ __forceinline__ BlockSpan run_of(const Matmul& op, uint32_t split) {
  const uint32_t begin = split * op.division.blocks_per_split;
  return {begin, min(begin + op.division.blocks_per_split, blocks(op.part[0].layout))};
}
inline dim3 grid_of(const Division& d) {
  return dim3(divide_up(d.tiles, d.tiles_at_once) * d.row_blocks, d.splits);
}

// Which tile of which part tile x of all is. Gate and up of one tile stand side by side, so
// that they are made at about the same time.
struct TileOfPart {
  uint32_t part, tile;
};
__device__ __forceinline__ TileOfPart tile_of(const Product& op, uint32_t x) {
  if (op.epilogue == Epilogue::silu_mul && op.parts == 2) return {x % 2, x / 2};
  uint32_t part = 0;
  while (part + 1 < op.parts && x >= column_tiles(op.part[part].layout))
    x -= column_tiles(op.part[part++].layout);
  return {part, x};
}

// The rows of x that a thread block multiplies.
struct RowSpan {
  uint32_t block, first, count;
};

// A split's sums of tile x in memory.
__device__ __forceinline__ float* sums_at(const Matmul& op, uint32_t split, uint32_t row_block,
                                          uint32_t x) {
  const Division& d = op.division;
  const uint64_t before = (uint64_t{split} * d.row_blocks + row_block) * d.tiles;
  return op.partials + (before + x) * d.row_block * kTileColumns;
}

// The splits' sums of tile x in order. They come from other multiprocessors: not from L1.
__device__ __forceinline__ float over_splits(const Matmul& op, uint32_t row_block, uint32_t x,
                                             uint32_t i) {
  const uint64_t stride = sums_at(op, 1, 0, 0) - op.partials;
  const float* at = sums_at(op, 0, row_block, x) + i;
  float sum = 0.0f;
  for (uint32_t split = 0; split < op.division.splits; ++split) sum += __ldcg(at + split * stride);
  return sum;
}

__device__ __forceinline__ float with_bias(const Part& part, uint32_t column, float sum) {
  return part.bias ? sum + part.bias[column] : sum;
}

// One element of a tile that is finished by itself.
__device__ __forceinline__ void finish_one(const Product& op, const TileOfPart& at, uint32_t row,
                                           uint32_t in_tile, float sum) {
  const Part& part = op.part[at.part];
  const uint32_t column = at.tile * kTileColumns + in_tile;
  if (column >= part.layout.cols) return;
  const uint64_t place = uint64_t{row} * part.layout.cols + column;
  const float value = with_bias(part, column, sum);
  if (op.epilogue == Epilogue::none)
    part.y[place] = value;
  else if (op.epilogue == Epilogue::add)
    op.y[place] = op.other[place] + value;
  else
    op.y[place] = silu(op.other[place]) * value;
}

// Gate and up of a tile, x the gate's.
__device__ inline void finish_pair(const Matmul& op, uint32_t x, const RowSpan& rows) {
  const uint32_t tile = x / 2, cols = op.part[0].layout.cols;
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads) {
    const uint32_t column = tile * kTileColumns + i % kTileColumns;
    if (column >= cols) continue;
    const float gate = with_bias(op.part[0], column, over_splits(op, rows.block, x, i));
    const float up = with_bias(op.part[1], column, over_splits(op, rows.block, x + 1, i));
    op.y[uint64_t{rows.first + i / kTileColumns} * cols + column] = silu(gate) * up;
  }
}

// A head of queries, keys or values, x its first tile; a warp a row.
__device__ inline void finish_head(const Matmul& op, const StepView& step, uint32_t x,
                                   const RowSpan& rows, float (&heads)[kWarps][kMostHeadDim]) {
  const TileOfPart at = tile_of(op, x);
  const uint32_t d = op.append.keys.head_dim, lane = threadIdx.x % 32;
  const uint32_t head = at.tile * kTileColumns / d;
  float* values = heads[threadIdx.x / 32];
  for (uint32_t r = threadIdx.x / 32; r < rows.count; r += kWarps) {
    const uint32_t row = rows.first + r;
    for (uint32_t i = lane; i < d; i += 32) {
      const uint32_t place = r * kTileColumns + i % kTileColumns;
      values[i] = with_bias(op.part[at.part], head * d + i,
                            over_splits(op, rows.block, x + i / kTileColumns, place));
    }
    __syncwarp();
    append_head(op.append, step, {at.part, head, row}, values, values);
    __syncwarp();
  }
}

// What is finished together, x its first tile.
__device__ inline void finish_group(const Matmul& op, const StepView& step, const RowSpan& rows,
                                    uint32_t x, float (&heads)[kWarps][kMostHeadDim]) {
  if (op.epilogue == Epilogue::rope_append) return finish_head(op, step, x, rows, heads);
  if (tiles_together(op) == 2) return finish_pair(op, x, rows);
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads)
    finish_one(op, tile_of(op, x), rows.first + i / kTileColumns, i % kTileColumns,
               over_splits(op, rows.block, x, i));
}

// Once the thread block has written its sums of kTiles tiles from `first` on: it goes on with what
// no other is still to arrive at.
template <uint32_t kTiles>
__device__ void finish_together(const Matmul& op, const StepView& step, const RowSpan& rows,
                                uint32_t first, bool (&last)[kTiles],
                                float (&heads)[kWarps][kMostHeadDim]) {
  const uint32_t together = tiles_together(op), tiles = op.division.tiles;
  uint32_t* arrivals = op.arrivals + uint64_t{rows.block} * (tiles / together);
  __threadfence();
  __syncthreads();
  if (threadIdx.x < kTiles) {
    const uint32_t x = first + threadIdx.x;
    last[threadIdx.x] =
        x < tiles && atomicAdd(arrivals + x / together, 1u) == op.division.splits * together - 1;
  }
  __syncthreads();
  for (uint32_t i = 0; i < kTiles; ++i) {
    if (!last[i]) continue;
    __threadfence();
    const uint32_t group = (first + i) / together;
    finish_group(op, step, rows, group * together, heads);
    if (threadIdx.x == 0) arrivals[group] = 0;
  }
}

}  // namespace ropewalk::cuda::gptq
