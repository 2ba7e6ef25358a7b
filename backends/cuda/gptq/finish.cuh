// finish.cuh — what becomes of a product's sums: partial sums of splits are added in order, then
// the epilogue runs, by the thread block that arrives last at what is finished together.
//
// No float is added atomically: a step has the same bits every time.
#pragma once

#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/shared.cuh"
#include "backends/cuda/ops/append.cuh"

namespace ropewalk::cuda::gptq {

// What a thread block makes: tile `x` of all parts' for a row block, over a run of K. Row blocks
// are the fastest: those that read the same codes do so at about the same time, so that memory is
// asked for them once, though they are not kept in the second-level cache.
struct Place {
  uint32_t x, split, row_block;
};
__device__ __forceinline__ Place place_of(const Division& division) {
  const uint32_t row_blocks = division.row_blocks;
  // A decode step does without the division.
  if (row_blocks == 1) return {blockIdx.x, blockIdx.y, 0};
  return {blockIdx.x / row_blocks, blockIdx.y, blockIdx.x % row_blocks};
}

// Which tile of which part a thread block makes. Gate and up of one tile stand side by side, so
// that they are made at about the same time.
struct TileOfPart {
  uint32_t part, tile;
};
__device__ __forceinline__ TileOfPart tile_of(const Matmul& op, uint32_t x) {
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

// The warps' sums in order, sum i being (row, column) (i / 32, i % 32) of the tile.
template <uint32_t kRowTiles>
__device__ __forceinline__ float over_warps(const Shared<kRowTiles>& shared, uint32_t i) {
  float sum = 0.0f;
  for (uint32_t w = 0; w < kWarps; ++w) sum += shared.sums[w * shared.kRows * kTileColumns + i];
  return sum;
}

// A thread block's sums in memory.
__device__ __forceinline__ float* sums_at(const Matmul& op, const Place& place) {
  const Division& d = op.division;
  const uint64_t before = (uint64_t{place.split} * d.row_blocks + place.row_block) * d.tiles;
  return op.partials + (before + place.x) * d.row_block * kTileColumns;
}

// The splits' sums of tile x in order. They come from other multiprocessors: not from L1.
__device__ __forceinline__ float over_splits(const Matmul& op, uint32_t row_block, uint32_t x,
                                             uint32_t i) {
  const uint64_t stride = sums_at(op, {0, 1, 0}) - op.partials;
  const float* at = sums_at(op, {x, 0, row_block}) + i;
  float sum = 0.0f;
  for (uint32_t split = 0; split < op.division.splits; ++split) sum += __ldcg(at + split * stride);
  return sum;
}

__device__ __forceinline__ float with_bias(const Part& part, uint32_t column, float sum) {
  return part.bias ? sum + part.bias[column] : sum;
}

// One element of a tile that is finished by itself.
__device__ __forceinline__ void finish_one(const Matmul& op, const TileOfPart& at, uint32_t row,
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

// Writes this thread block's sums; the last to arrive at what is finished together goes on.
template <uint32_t kRowTiles>
__device__ void finish_together(const Matmul& op, const StepView& step, const Place& place,
                                const RowSpan& rows, Shared<kRowTiles>& shared) {
  const uint32_t together = tiles_together(op), group = place.x / together;
  float* mine = sums_at(op, place);
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads)
    mine[i] = over_warps(shared, i);
  __threadfence();
  __syncthreads();
  uint32_t* arrivals =
      op.arrivals + uint64_t{place.row_block} * (op.division.tiles / together) + group;
  if (threadIdx.x == 0) shared.last = atomicAdd(arrivals, 1u) == op.division.splits * together - 1;
  __syncthreads();
  if (!shared.last) return;
  __threadfence();
  const uint32_t x = group * together;
  if (op.epilogue == Epilogue::rope_append) {
    finish_head(op, step, x, rows, shared.head);
  } else if (together == 2) {
    finish_pair(op, x, rows);
  } else {
    for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads)
      finish_one(op, tile_of(op, x), rows.first + i / kTileColumns, i % kTileColumns,
                 over_splits(op, rows.block, x, i));
  }
  if (threadIdx.x == 0) *arrivals = 0;
}

}  // namespace ropewalk::cuda::gptq
