// The formula of gptq/matmul.cu for 9 rows and more. x is f16 already, with one scale a row.
//
// Grid (column tiles / 4 x row blocks, splits of K), 4 warps, each with a column tile of its own
// over the whole run of K. The warps share x: a stage of 4 blocks of K is copied while the previous
// one is multiplied. Codes go from memory straight to the registers of the one lane that needs
// them.
//
// The cost of a block of K of a tile, 32 x 32 codes, for R rows, with 4 bits in groups of 32:
//
//   memory            640 B       codes and headers, each once
//   cache, level 2    640 + 16 R  x for 4 tiles is 64 R B
//   shared memory     64 R        each lane loads 16 B for each 8 rows
//   tensor cores      R / 2       mma.m16n8k16
//   instructions      70 + 13 R/8 warp-wide: unpacking; a load, 4 mma and 8 scalings each 8 rows
//
// An H200 (132 multiprocessors, 1.755 GHz, 4.8 TB/s) streams 20.7 B a clock to a multiprocessor: a
// block in 31 clocks. In that time a multiprocessor issues 124 instructions, reads 3968 B of shared
// memory and does some 40 mma (at most 2 a clock, of which mma.sync reaches 62 %); the second-level
// cache, taken as 7 TB/s, delivers 930 B. So:
//
//   R                 16          32          64
//   instructions      96  77 %    122  98 %   174  140 %
//   shared memory     1024 26 %   2048 52 %   4096 103 %
//   mma               8   20 %    16   40 %   32   80 %
//   level 2           896 96 %    1152 124 %  1664 179 %
//
// So on an H200 memory is the limit up to 16 rows; 32 rows take a quarter longer than their codes,
// 64 nearly twice as long. Other GPUs have fewer bytes a clock (A100: 13, 4090: 3): there memory is
// the limit up to 32 rows, and up to 64 except on the A100, whose tensor cores take 64 clocks where
// memory takes 49. All of this is arithmetic, not measured.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/finish.cuh"
#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/shared.cuh"
#include "backends/cuda/gptq/stage.h"
#include "backends/cuda/gptq/stream.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda::gptq {
namespace {

// stage.h's sum_row() and sum_column() say which sums these are.
template <uint32_t kRowTiles>
using Sums = float[kRowTiles][2][4];

// Starts the copies of up to kStageBlocks blocks of K, for existing rows. The rest of the stage
// stays undefined: it is not read, or only for rows whose sums are dropped (a row of x is a column
// of the instruction, so it does not reach other rows).
template <uint32_t kRowTiles>
__device__ __forceinline__ void stage(const Matmul& op, const RowSpan& rows, const BlockSpan& span,
                                      __half* to) {
  const uint32_t pitch = padded_rows(op.part[0].layout);
  const auto* from = reinterpret_cast<const __half*>(op.x_f16) + uint64_t{rows.first} * pitch +
                     span.begin * kBlockRows;
#pragma unroll
  for (uint32_t n = 0; n < 8 * kRowTiles * kRowChunks / kThreads; ++n) {
    const auto [row, chunk] = copied_chunk(kThreads, threadIdx.x, n);
    if (row < rows.count && span.begin + chunk / (kRowChunks / kStageBlocks) < span.end)
      copy_16(to + stage_at(row, chunk), from + row * pitch + chunk * kChunkElements);
  }
}

// Multiplies block `b` of a stage.
template <uint32_t kBits, uint32_t kRowTiles>
__device__ __forceinline__ void multiply_block(const uint32_t (&words)[kBits], const Header& header,
                                               const __half* x, uint32_t b, Sums<kRowTiles>& sums) {
  const uint32_t lane = threadIdx.x % 32;
  uint32_t left[2][2][4];
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p) {
    const Zero zero[2] = {Zero(header.zero[2 * p]), Zero(header.zero[2 * p + 1])};
    left_of<kBits>(words, zero, p, left[p]);
  }
#pragma unroll
  for (uint32_t tile = 0; tile < kRowTiles; ++tile) {
    const uint4 x_fragment = *reinterpret_cast<const uint4*>(
        x + stage_at(tile * 8 + fragment_row(lane), chunk_of(b, lane)));
#pragma unroll
    for (uint32_t p = 0; p < 2; ++p) {
      float part[4];
      multiply_tile(left[p], x_fragment, part);
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) sums[tile][p][i] += header.scale[2 * p + i / 2] * part[i];
    }
  }
}

// The barrier in front of a stage means both: all of the stage has arrived, and no warp reads the
// previous one any more, so that it may be overwritten.
template <uint32_t kBits, uint32_t kRowTiles>
__device__ __forceinline__ void multiply_run(const Matmul& op, const RowSpan& rows,
                                             const BlockSpan& run, const TileOfPart& at,
                                             ManyRowsShared<kRowTiles>& shared,
                                             Sums<kRowTiles>& sums) {
  constexpr uint32_t kAhead = kBits == 8 ? 2 : 4;
  const Stream<kBits, 0> stream(op.part[at.part], at.tile);
  typename Stream<kBits, 0>::Block ahead[kAhead];
  stage<kRowTiles>(op, rows, run, shared.x[0]);
#pragma unroll
  for (uint32_t i = 0; i < kAhead; ++i)
    if (run.begin + i < run.end) stream.load(run.begin + i, ahead[i]);

  uint32_t current = 0;
  for (uint32_t from = run.begin; from < run.end; from += kStageBlocks, current ^= 1) {
    wait_for_copies();
    __syncthreads();
    const uint32_t next = from + kStageBlocks;
    if (next < run.end) stage<kRowTiles>(op, rows, {next, run.end}, shared.x[current ^ 1]);
#pragma unroll
    for (uint32_t b = 0; b < kStageBlocks; ++b) {
      if (from + b >= run.end) break;
      const typename Stream<kBits, 0>::Block block = ahead[b % kAhead];
      if (from + b + kAhead < run.end) stream.load(from + b + kAhead, ahead[b % kAhead]);
      multiply_block<kBits, kRowTiles>(block.words, stream.header(from + b, block),
                                       shared.x[current], b, sums);
    }
  }
}

// Calls store(row of the row block, column of the tile, sum) for the lane's sums of existing rows.
template <uint32_t kRowTiles, class Store>
__device__ __forceinline__ void each_sum(const Matmul& op, const RowSpan& rows,
                                         const Sums<kRowTiles>& sums, const Store& store) {
  const uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t tile = 0; tile < kRowTiles; ++tile)
#pragma unroll
    for (uint32_t odd = 0; odd < 2; ++odd) {
      const uint32_t row = tile * 8 + sum_row(lane, odd);
      if (row >= rows.count) continue;
      const float scale = __ldg(op.x_scales + rows.first + row);
#pragma unroll
      for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
        for (uint32_t i = odd; i < 4; i += 2)
          store(row, sum_column(lane, p, i), sums[tile][p][i] * scale);
    }
}

template <uint32_t kBits, uint32_t kRowTiles>
__global__ void __launch_bounds__(kThreads, ManyRowsShared<kRowTiles>::kThreadBlocks)
    matmul_wide_kernel(const __grid_constant__ Matmul op, const StepView step) {
  __shared__ ManyRowsShared<kRowTiles> shared;
  const Division& division = op.division;
  const uint32_t all_rows = step.counts[static_cast<uint32_t>(op.extent)];
  const WorkItem item = work_item_of(division);
  const uint32_t first = item.row_block * ManyRowsShared<kRowTiles>::kRows;
  if (first >= all_rows) return;
  const RowSpan rows{item.row_block, first,
                     min(all_rows - first, ManyRowsShared<kRowTiles>::kRows)};
  // A warp without a tile computes the last one again, since it has to help staging x.
  const uint32_t first_tile = item.x * kWideTiles, tile = first_tile + threadIdx.x / 32;
  const TileOfPart at = tile_of(op, min(tile, division.tiles - 1));

  Sums<kRowTiles> sums = {};
  multiply_run<kBits, kRowTiles>(op, rows, run_of(op, item.split), at, shared, sums);
  const bool alone = finishes_alone(op, division.splits);
  if (tile < division.tiles && alone)
    each_sum<kRowTiles>(op, rows, sums, [&](uint32_t row, uint32_t column, float sum) {
      finish_one(op, at, first + row, column, sum);
    });
  if (tile < division.tiles && !alone) {
    float* partial = sums_at(op, item.split, item.row_block, tile);
    each_sum<kRowTiles>(op, rows, sums, [&](uint32_t row, uint32_t column, float sum) {
      partial[row * kTileColumns + column] = sum;
    });
  }
  if (!alone) finish_together(op, step, rows, first_tile, shared.last, shared.head);
}

template <uint32_t kBits>
void launch(const Matmul& op, const StepView& step, cudaStream_t stream) {
  const dim3 grid = grid_of(op.division);
  if (op.division.row_block == 16)
    run_kernel(matmul_wide_kernel<kBits, 2>, grid, kThreads, stream, op, step);
  else if (op.division.row_block == 32)
    run_kernel(matmul_wide_kernel<kBits, 4>, grid, kThreads, stream, op, step);
  else
    run_kernel(matmul_wide_kernel<kBits, 8>, grid, kThreads, stream, op, step);
}

}  // namespace

void matmul_wide(const Matmul& op, const StepView& step, cudaStream_t stream) {
  switch (op.part[0].layout.bits) {
    case 2:
      return launch<2>(op, step, stream);
    case 3:
      return launch<3>(op, step, stream);
    case 4:
      return launch<4>(op, step, stream);
    default:
      return launch<8>(op, step, stream);
  }
}

}  // namespace ropewalk::cuda::gptq
