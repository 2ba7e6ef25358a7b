// lean/finish.cuh — the end of a product: the warp that adds the last blocks of K to a group of
// tiles sums the segments in order and runs the epilogue. Like gptq/finish.cuh, but by a warp.
//
// Floats are never added atomically, so a step gives the same bits every time.
#pragma once

#include "backends/cuda/gptq/finish.cuh"
#include "backends/cuda/gptq/lean/stage.cuh"
#include "backends/cuda/gptq/lean/x.cuh"

namespace ropewalk::cuda::gptq {

// Stores the sums (row, column) of a segment. For one row each lane stores a column, else its
// fragment.
template <uint32_t kRows>
__device__ __forceinline__ void store_segment(const LeanMatmul& op, uint64_t segment,
                                              const LeanShared& shared, const float (&sums)[2][4]) {
  const uint32_t lane = threadIdx.x % 32;
  float* to = op.partials + segment * kRows * kTileColumns;
  if constexpr (kRows == 1) {
    const uint32_t j = lane % 4;
    const float low = j % 2 == 0 ? sums[0][0] : sums[0][2];
    const float high = j % 2 == 0 ? sums[1][0] : sums[1][2];
    to[column_of(lane, j)] = (j < 2 ? low : high) * row_scale<kRows>(shared, 0);
  } else {
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t row = sum_row(lane, i);
      const float scale = row_scale<kRows>(shared, row);
#pragma unroll
      for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
        for (uint32_t half = 0; half < 2; ++half)
          to[row * kTileColumns + sum_column(lane, p, 2 * half + i)] =
              sums[p][2 * half + i] * scale;
    }
  }
}

// Sums the segments of up to kTiles tiles, for the calling lane's column and the rows row ..
// row + kCount - 1. They are added in order, but up to kAtOnce loads of each sum are under way
// together: one after another, their latencies would be most of a product's end. Other
// multiprocessors wrote the terms, so the loads bypass L1.
template <uint32_t kRows, uint32_t kTiles, uint32_t kCount>
__device__ __forceinline__ void sum_segments(const LeanMatmul& op, uint32_t tile, uint32_t tiles,
                                             uint32_t row, float (&sums)[kTiles][kCount]) {
  // as many as registers allow
  constexpr uint32_t kAtOnce = kRows == 1 ? 8 : 2;
  const float* from = op.partials + row * kTileColumns + threadIdx.x % 32;
#pragma unroll
  for (uint32_t t = 0; t < kTiles; ++t)
#pragma unroll
    for (uint32_t n = 0; n < kCount; ++n) sums[t][n] = 0.0f;
  for (uint32_t s = 0; s < op.shares.slices; ++s) {
    TileSegments at[kTiles];
    uint32_t most = 0;
#pragma unroll
    for (uint32_t t = 0; t < kTiles; ++t) {
      at[t].count = 0;
      if (t < tiles) at[t] = segments_of(op.shares, s, tile + t);
      most = max(most, at[t].count);
    }
    for (uint32_t first = 0; first < most; first += kAtOnce) {
      float terms[kTiles][kCount][kAtOnce];
#pragma unroll
      for (uint32_t t = 0; t < kTiles; ++t)
#pragma unroll
        for (uint32_t i = 0; i < kAtOnce; ++i)
#pragma unroll
          for (uint32_t n = 0; n < kCount; ++n)
            terms[t][n][i] =
                first + i < at[t].count
                    ? __ldcg(from + (at[t].place(first + i) * kRows + n) * kTileColumns)
                    : 0.0f;
#pragma unroll
      for (uint32_t t = 0; t < kTiles; ++t)
#pragma unroll
        for (uint32_t i = 0; i < kAtOnce; ++i)
#pragma unroll
          for (uint32_t n = 0; n < kCount; ++n) sums[t][n] += terms[t][n][i];
    }
  }
}

// The epilogues for the rows row .. row + kCount - 1 that exist; `tile` is the first of a group.

template <uint32_t kRows, uint32_t kCount>
__device__ inline void finish_heads(const LeanMatmul& op, const StepView& step, uint32_t rows,
                                    uint32_t tile, uint32_t row, float* head) {
  constexpr uint32_t kHalf = 4;  // tiles of 128 dimensions
  const uint32_t lane = threadIdx.x % 32, d = op.append.keys.head_dim, tiles = d / kTileColumns;
  const TileOfPart at = tile_of(op, tile);
  float sums[2][kHalf][kCount];
  sum_segments<kRows>(op, tile, tiles, row, sums[0]);
  if (tiles > kHalf) sum_segments<kRows>(op, tile + kHalf, tiles - kHalf, row, sums[1]);
#pragma unroll
  for (uint32_t n = 0; n < kCount; ++n) {
    if (row + n >= rows) break;
#pragma unroll
    for (uint32_t t = 0; t < 2 * kHalf; ++t)
      if (t < tiles) {
        const uint32_t in_head = t * kTileColumns + lane;
        head[in_head] = with_bias(op.part[at.part], at.tile * kTileColumns + in_head,
                                  sums[t / kHalf][t % kHalf][n]);
      }
    __syncwarp();
    append_head(op.append, step, {at.part, at.tile * kTileColumns / d, row + n}, head, head);
    __syncwarp();
  }
}

template <uint32_t kRows, uint32_t kCount>
__device__ inline void finish_pairs(const LeanMatmul& op, uint32_t rows, uint32_t tile,
                                    uint32_t row) {
  const TileOfPart at = tile_of(op, tile);
  const uint32_t column = at.tile * kTileColumns + threadIdx.x % 32, cols = op.part[0].layout.cols;
  float sums[2][kCount];  // of gate and up
  sum_segments<kRows>(op, tile, 2, row, sums);
#pragma unroll
  for (uint32_t n = 0; n < kCount; ++n) {
    if (row + n >= rows) break;
    float value = 0.0f;
    if (column < cols) {
      value = activated(op.activation, with_bias(op.part[0], column, sums[0][n])) *
              with_bias(op.part[1], column, sums[1][n]);
      op.y[uint64_t{row + n} * cols + column] = value;
    }
    // a tile of columns is a block of K of the next product
    if (op.next.x_f16) prepare_block(op.next, at.tile, row + n, value);
  }
}

template <uint32_t kRows, uint32_t kCount>
__device__ inline void finish_tiles(const LeanMatmul& op, uint32_t rows, uint32_t tile,
                                    uint32_t row) {
  float sums[1][kCount];
  sum_segments<kRows>(op, tile, 1, row, sums);
#pragma unroll
  for (uint32_t n = 0; n < kCount; ++n)
    if (row + n < rows) finish_one(op, tile_of(op, tile), row + n, threadIdx.x % 32, sums[0][n]);
}

// The epilogue for the rows [begin, end) of a group, whose first tile is `tile`; at most 8 rows.
template <uint32_t kRows>
__device__ inline void finish_group(const LeanMatmul& op, const StepView& step, uint32_t begin,
                                    uint32_t end, uint32_t tile, float* head) {
  constexpr uint32_t kHeads = kRows == 1 ? 1 : 2, kPairs = kRows == 1 ? 1 : 4;
  if (op.epilogue == Epilogue::rope_append)
    for (uint32_t row = begin; row < end; row += kHeads)
      finish_heads<kRows, kHeads>(op, step, end, tile, row, head);
  else if (tiles_together(op) == 2)
    for (uint32_t row = begin; row < end; row += kPairs)
      finish_pairs<kRows, kPairs>(op, end, tile, row);
  else if (begin != end)
    finish_tiles<kRows, kRows == 1 ? 1 : kLeanMaxRows>(op, end, tile, begin);
}

// Called once the warp has stored its sums of `count` blocks of K of a tile. Returns whether these
// were the last of the tile's group; then the counter is 0 again.
__device__ __forceinline__ bool ends_group(const LeanMatmul& op, uint32_t tile, uint32_t count) {
  const uint32_t together = tiles_together(op);
  uint32_t* counter = op.tile_counters + tile / together;
  __syncwarp();
  uint32_t before = 0;
  if (threadIdx.x % 32 == 0) before = add_acq_rel(counter, count);
  before = __shfl_sync(~0u, before, 0);
  if (before + count != together * op.shares.blocks) return false;
  if (threadIdx.x % 32 == 0) *counter = 0;
  return true;
}

}  // namespace ropewalk::cuda::gptq
