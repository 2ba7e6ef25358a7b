// With g = k / group, for one to three weights, then the epilogue of finish.cuh:
//
//   p[r][n] = bias[n] + sum over k of x[r][k] * scale[g][n] * (code[k][n] - zero[g][n])
//
// For up to 8 rows. Grid (column tiles of all weights x row blocks, splits of K), 4 warps. Each
// warp streams a run of blocks of 32 x 32 codes, with the next ones in flight while one is
// multiplied; x comes from shared memory. Expected bottleneck: memory, from which the codes stream.
//
// The tensor cores take x as f16, which has 11 bits and overflows above 65504 (down_proj's input in
// Llama-2 does). So each stretch of a row is divided by a power of two, which rounds nothing, so
// that its max magnitude is below 2^15; the f32 sums are multiplied by it. code - zero is exact in
// f16. The scale multiplies the f32 sum of a block and so is never rounded.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/finish.cuh"
#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/gptq/shared.cuh"
#include "backends/cuda/gptq/stream.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda::gptq {
namespace {

// Element `lane` of a block of K; 0 in the padding.
__device__ __forceinline__ float element(const Layout& l, bool contiguous, const float* row,
                                         uint32_t block) {
  const uint32_t lane = threadIdx.x % 32;
  if (contiguous) {
    const uint32_t k = block * kBlockRows + lane;
    return k < l.rows ? __ldg(row + k) : 0.0f;
  }
  return lane < rows_of_block(l, block) ? __ldg(row + first_row(l, block) + lane) : 0.0f;
}

// Stages x at up to kBlocks blocks of K, by the calling warp for itself. It takes several rows at a
// time, so that their loads and their reductions overlap.
__device__ __forceinline__ void load_x(const Matmul& op, const RowSpan& rows, const BlockSpan& span,
                                       FewRowsShared& shared) {
  constexpr uint32_t kBlocks = FewRowsShared::kBlocks;
  constexpr uint32_t kTogether = 16 / kBlocks;
  const Layout& l = op.part[0].layout;
  const bool contiguous = is_contiguous(l);
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (uint32_t first = 0; first < rows.count; first += kTogether) {
    // load
    float values[kTogether][kBlocks], max[kTogether];
#pragma unroll
    for (uint32_t n = 0; n < kTogether; ++n) {
      const float* row = op.x + uint64_t{rows.first + first + n} * l.rows;
#pragma unroll
      for (uint32_t b = 0; b < kBlocks; ++b)
        values[n][b] = first + n < rows.count && span.begin + b < span.end
                           ? element(l, contiguous, row, span.begin + b)
                           : 0.0f;
    }
    // max over the warp; fmaxf() drops a NaN, but the conversion below keeps it
#pragma unroll
    for (uint32_t n = 0; n < kTogether; ++n) {
      max[n] = 0.0f;
#pragma unroll
      for (uint32_t b = 0; b < kBlocks; ++b) max[n] = fmaxf(max[n], fabsf(values[n][b]));
      max[n] = warp_max(max[n]);
    }
    // divide by the scale and round
#pragma unroll
    for (uint32_t n = 0; n < kTogether; ++n) {
      const uint32_t r = first + n;
      if (r >= rows.count) break;
      const float scale = power_of_two_for(max[n]), inverse = 1.0f / scale;
      __half* at = shared.x[warp] + r * shared.kPitch + lane;
#pragma unroll
      for (uint32_t b = 0; b < kBlocks; ++b)
        at[b * kBlockRows] = __float2half(values[n][b] * inverse);
      if (lane == 0) shared.scale[warp][r] = scale;
    }
  }
}

// Clears the rows beyond the last one, once.
__device__ __forceinline__ void clear_other_rows(const RowSpan& rows, FewRowsShared& shared) {
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (uint32_t i = rows.count * shared.kPitch + lane; i < shared.kRows * shared.kPitch; i += 32)
    shared.x[warp][i] = __float2half(0.0f);
  for (uint32_t r = rows.count + lane; r < shared.kRows; r += 32) shared.scale[warp][r] = 0.0f;
}

// sums[p][i]: the lane's columns 2p and 2p + 1; stage.h's sum_row() and sum_column() say which.
using Sums = float[2][4];

template <uint32_t kBits>
__device__ __forceinline__ void multiply_block(const uint32_t (&words)[kBits], const Header& header,
                                               const __half* x, const float (&row_scale)[2],
                                               Sums& sums) {
  const uint32_t lane = threadIdx.x % 32;
  const uint4 x_fragment = *reinterpret_cast<const uint4*>(
      x + fragment_row(lane) * FewRowsShared::kPitch + row_of(lane, 0));
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p) {
    uint32_t left[2][4];
    const Zero zero[2] = {Zero(header.zero[2 * p]), Zero(header.zero[2 * p + 1])};
    left_of<kBits>(words, zero, p, left);
    float part[4];
    multiply_tile(left, x_fragment, part);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      sums[p][i] += header.scale[2 * p + i / 2] * row_scale[i % 2] * part[i];
  }
}

// Multiplies the calling warp's run of K.
template <uint32_t kBits, uint32_t kHeaderWords>
__device__ __forceinline__ void multiply_run(const Matmul& op, const RowSpan& rows,
                                             const BlockSpan& run, const TileOfPart& at,
                                             FewRowsShared& shared, Sums& sums) {
  constexpr uint32_t kBlocks = FewRowsShared::kBlocks, kAhead = 4;
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Stream<kBits, kHeaderWords> stream(op.part[at.part], at.tile);
  typename Stream<kBits, kHeaderWords>::Block ahead[kAhead];
#pragma unroll
  for (uint32_t i = 0; i < kAhead; ++i)
    if (run.begin + i < run.end) stream.load(run.begin + i, ahead[i]);

  for (uint32_t from = run.begin; from < run.end; from += kBlocks) {
    load_x(op, rows, {from, run.end}, shared);
    __syncwarp();
    float row_scale[2];
    for (uint32_t i = 0; i < 2; ++i) row_scale[i] = shared.scale[warp][sum_row(lane, i)];
#pragma unroll
    for (uint32_t b = 0; b < kBlocks; ++b) {
      if (from + b >= run.end) break;
      const typename Stream<kBits, kHeaderWords>::Block block = ahead[b % kAhead];
      if (from + b + kAhead < run.end) stream.load(from + b + kAhead, ahead[b % kAhead]);
      multiply_block<kBits>(block.words, stream.header(from + b, block),
                            shared.x[warp] + b * kBlockRows, row_scale, sums);
    }
    __syncwarp();
  }
}

__device__ __forceinline__ void store_sums(const Sums& sums, FewRowsShared& shared) {
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      shared.sums[(warp * FewRowsShared::kRows + sum_row(lane, i)) * kTileColumns +
                  sum_column(lane, p, i)] = sums[p][i];
}

// The sum over the warps in order of element i of the tile: row i / 32, column i % 32.
__device__ __forceinline__ float sum_over_warps(const FewRowsShared& shared, uint32_t i) {
  float sum = 0.0f;
  for (uint32_t w = 0; w < kWarps; ++w)
    sum += shared.sums[w * FewRowsShared::kRows * kTileColumns + i];
  return sum;
}

template <uint32_t kBits, uint32_t kHeaderWords>
__global__ void __launch_bounds__(kThreads)
    matmul_kernel(const __grid_constant__ Matmul op, const StepView step) {
  __shared__ FewRowsShared shared;
  const uint32_t all_rows = step.counts[static_cast<uint32_t>(op.extent)];
  const WorkItem item = work_item_of(op.division);
  const uint32_t first = item.row_block * FewRowsShared::kRows;
  if (first >= all_rows) return;
  const RowSpan rows{item.row_block, first, min(all_rows - first, FewRowsShared::kRows)};
  const TileOfPart at = tile_of(op, item.x);
  const BlockSpan run = run_of(op, item.split);
  const uint32_t each = divide_up(run.end - run.begin, kWarps);
  const uint32_t mine = min(run.begin + threadIdx.x / 32 * each, run.end);

  Sums sums = {};
  clear_other_rows(rows, shared);
  multiply_run<kBits, kHeaderWords>(op, rows, {mine, min(mine + each, run.end)}, at, shared, sums);
  __syncthreads();
  store_sums(sums, shared);
  __syncthreads();
  const bool alone = finishes_alone(op, op.division.splits);
  float* partial = alone ? nullptr : sums_at(op, item.split, item.row_block, item.x);
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads)
    if (alone)
      finish_one(op, at, first + i / kTileColumns, i % kTileColumns, sum_over_warps(shared, i));
    else
      partial[i] = sum_over_warps(shared, i);
  if (!alone) finish_together(op, step, rows, item.x, shared.last, shared.head);
}

// The parts of one product may have scales of different types.
bool have_one_header_word(const Matmul& op) {
  for (uint32_t i = 0; i < op.parts; ++i)
    if (op.part[i].layout.header_words != 1 || op.part[i].layout.zeros != Zeros::beside_scales)
      return false;
  return true;
}

template <uint32_t kBits>
void launch(const Matmul& op, const StepView& step, cudaStream_t stream) {
  // A second header word takes registers, and so a thread block of the multiprocessor.
  if (have_one_header_word(op))
    run_kernel(matmul_kernel<kBits, 1>, grid_of(op.division), kThreads, stream, op, step);
  else
    run_kernel(matmul_kernel<kBits, 0>, grid_of(op.division), kThreads, stream, op, step);
}

}  // namespace

void matmul(const Matmul& op, const StepView& step, cudaStream_t stream) {
  if (op.division.tiles_at_once != 1) return matmul_wide(op, step, stream);
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
