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

// The sum of the segments in order, for the calling lane's column of a tile. Other multiprocessors
// wrote the terms, so the loads bypass L1.
template <uint32_t kRows>
__device__ __forceinline__ float sum_over_segments(const LeanMatmul& op, uint32_t tile,
                                                   uint32_t row) {
  const float* sums = op.partials + row * kTileColumns + threadIdx.x % 32;
  const auto load = [&](uint64_t segment) { return __ldcg(sums + segment * kRows * kTileColumns); };
  float sum = 0.0f;
  for (uint32_t s = 0; s < op.shares.slices; ++s) {
    const Slice slice = slice_at(op.shares, s);
    const uint32_t first = warp_of(op.shares, slice, tile, 0);
    const uint32_t last = warp_of(op.shares, slice, tile, slice.blocks - 1);
    sum += load(segment_at(op.shares, slice, s, first, tile));
    for (uint32_t w = first + 1; w <= last; ++w) sum += load(first_segment_at(op.shares, s, w));
  }
  return sum;
}

// The epilogue for a row of a group of tiles; `tile` is its first.
template <uint32_t kRows>
__device__ inline void finish_row(const LeanMatmul& op, const StepView& step, uint32_t tile,
                                  uint32_t row, float* head) {
  const uint32_t lane = threadIdx.x % 32;
  const TileOfPart at = tile_of(op, tile);
  const uint32_t column = at.tile * kTileColumns + lane, cols = op.part[0].layout.cols;
  if (op.epilogue == Epilogue::rope_append) {
    const uint32_t d = op.append.keys.head_dim;
    for (uint32_t t = 0; t < d / kTileColumns; ++t)
      head[t * kTileColumns + lane] = with_bias(op.part[at.part], column + t * kTileColumns,
                                                sum_over_segments<kRows>(op, tile + t, row));
    __syncwarp();
    append_head(op.append, step, {at.part, at.tile * kTileColumns / d, row}, head, head);
    __syncwarp();
  } else if (tiles_together(op) == 2) {
    const float gate = sum_over_segments<kRows>(op, tile, row);
    const float up = sum_over_segments<kRows>(op, tile + 1, row);
    float value = 0.0f;
    if (column < cols) {
      value = silu(with_bias(op.part[0], column, gate)) * with_bias(op.part[1], column, up);
      op.y[uint64_t{row} * cols + column] = value;
    }
    // a tile of columns is a block of K of the next product
    if (op.next.x_f16) prepare_block(op.next, at.tile, row, value);
  } else {
    finish_one(op, at, row, lane, sum_over_segments<kRows>(op, tile, row));
  }
}

// Called once the warp has stored its sums of `count` blocks of K of a tile.
template <uint32_t kRows>
__device__ inline void finish_segment(const LeanMatmul& op, const StepView& step, uint32_t rows,
                                      uint32_t tile, uint32_t count, float* head) {
  const uint32_t together = tiles_together(op), group = tile / together;
  uint32_t* counter = op.tile_counters + group;
  __syncwarp();
  uint32_t before = 0;
  if (threadIdx.x % 32 == 0) before = add_acq_rel(counter, count);
  before = __shfl_sync(~0u, before, 0);
  if (before + count != together * op.shares.blocks) return;
  for (uint32_t row = 0; row < rows; ++row)
    finish_row<kRows>(op, step, group * together, row, head);
  if (threadIdx.x % 32 == 0) *counter = 0;
}

}  // namespace ropewalk::cuda::gptq
