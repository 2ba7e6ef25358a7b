// finish.cuh — the end of a product: the last thread block of a group of tiles adds the partial
// sums of the splits in order and runs the epilogue.
//
// Floats are never added atomically, so a step gives the same bits every time.
#pragma once

#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/shared.cuh"
#include "backends/cuda/gptq/stream.cuh"
#include "backends/cuda/ops/append.cuh"

namespace ropewalk::cuda::gptq {

// The work of a thread block: tile `x` of all parts, or kWideTiles of them, for a row block and a
// split of K. Row blocks are the fastest index: thread blocks that read the same codes run at about
// the same time, so that memory delivers the codes once, though no cache keeps them for long.
struct WorkItem {
  uint32_t x, split, row_block;
};
__device__ __forceinline__ WorkItem work_item_of(const Division& division) {
  const uint32_t row_blocks = division.row_blocks;
  // A decode step has one row block and needs no division.
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

// Maps the global tile index x to (part, tile within it). Gate and up of a tile are neighbours, so
// that they are computed at about the same time.
struct TileOfPart {
  uint32_t part, tile;
};
__device__ __forceinline__ TileOfPart tile_of(const Product& op, uint32_t x) {
  if (op.epilogue == Epilogue::gate_mul && op.parts == 2) return {x % 2, x / 2};
  uint32_t part = 0;
  while (part + 1 < op.parts && x >= column_tiles(op.part[part].layout))
    x -= column_tiles(op.part[part++].layout);
  return {part, x};
}

// The rows of x that a thread block multiplies.
struct RowSpan {
  uint32_t block, first, count;
};

// Address of a split's partial sums of tile x.
__device__ __forceinline__ float* sums_at(const Matmul& op, uint32_t split, uint32_t row_block,
                                          uint32_t x) {
  const Division& d = op.division;
  const uint64_t before = (uint64_t{split} * d.row_blocks + row_block) * d.tiles;
  return op.partials + (before + x) * d.row_block * kTileColumns;
}

// The sum over the splits in order of element i of tile x. Other multiprocessors wrote the terms,
// so the loads bypass L1.
__device__ __forceinline__ float sum_over_splits(const Matmul& op, uint32_t row_block, uint32_t x,
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

// The epilogue for one element of a tile that is finished alone.
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
    op.y[place] = activated(op.activation, op.other[place]) * value;
}

// The epilogue for gate and up of a tile; x is the gate's.
__device__ inline void finish_pair(const Matmul& op, uint32_t x, const RowSpan& rows) {
  const uint32_t tile = x / 2, cols = op.part[0].layout.cols;
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads) {
    const uint32_t column = tile * kTileColumns + i % kTileColumns;
    if (column >= cols) continue;
    const float gate = with_bias(op.part[0], column, sum_over_splits(op, rows.block, x, i));
    const float up = with_bias(op.part[1], column, sum_over_splits(op, rows.block, x + 1, i));
    op.y[uint64_t{rows.first + i / kTileColumns} * cols + column] =
        activated(op.activation, gate) * up;
  }
}

// The epilogue for a head of queries, keys or values, whose first tile is x; a warp a row.
__device__ inline void finish_head(const Matmul& op, const StepView& step, uint32_t x,
                                   const RowSpan& rows, float (&heads)[kWarps][kMaxHeadDim]) {
  const TileOfPart at = tile_of(op, x);
  const uint32_t d = op.append.keys.head_dim, lane = threadIdx.x % 32;
  const uint32_t head = at.tile * kTileColumns / d;
  float* values = heads[threadIdx.x / 32];
  for (uint32_t r = threadIdx.x / 32; r < rows.count; r += kWarps) {
    const uint32_t row = rows.first + r;
    for (uint32_t i = lane; i < d; i += 32) {
      const uint32_t place = r * kTileColumns + i % kTileColumns;
      values[i] = with_bias(op.part[at.part], head * d + i,
                            sum_over_splits(op, rows.block, x + i / kTileColumns, place));
    }
    __syncwarp();
    append_head(op.append, step, {at.part, head, row}, values, values);
    __syncwarp();
  }
}

// The epilogue for a group of tiles; x is its first.
__device__ inline void finish_group(const Matmul& op, const StepView& step, const RowSpan& rows,
                                    uint32_t x, float (&heads)[kWarps][kMaxHeadDim]) {
  if (op.epilogue == Epilogue::rope_append) return finish_head(op, step, x, rows, heads);
  if (tiles_together(op) == 2) return finish_pair(op, x, rows);
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads)
    finish_one(op, tile_of(op, x), rows.first + i / kTileColumns, i % kTileColumns,
               sum_over_splits(op, rows.block, x, i));
}

// Called once the thread block has written its partial sums of kTiles tiles from `first` on. It
// finishes the groups of tiles to which no other thread block still has to add.
template <uint32_t kTiles>
__device__ void finish_together(const Matmul& op, const StepView& step, const RowSpan& rows,
                                uint32_t first, bool (&last)[kTiles],
                                float (&heads)[kWarps][kMaxHeadDim]) {
  const uint32_t together = tiles_together(op), tiles = op.division.tiles;
  // count the tiles that this thread block has written
  uint32_t* tile_counters = op.tile_counters + uint64_t{rows.block} * (tiles / together);
  __threadfence();
  __syncthreads();
  if (threadIdx.x < kTiles) {
    const uint32_t x = first + threadIdx.x;
    last[threadIdx.x] = x < tiles && atomicAdd(tile_counters + x / together, 1u) ==
                                         op.division.splits * together - 1;
  }
  __syncthreads();
  // finish the groups for which it was the last
  for (uint32_t i = 0; i < kTiles; ++i) {
    if (!last[i]) continue;
    __threadfence();
    const uint32_t group = (first + i) / together;
    finish_group(op, step, rows, group * together, heads);
    if (threadIdx.x == 0) tile_counters[group] = 0;
  }
}

}  // namespace ropewalk::cuda::gptq
