// p[r][n] = bias[n] + sum over k of x[r][k] * scale[k / group][n] * (code[k][n] - zero[k /
// group][n]) for one to three weights, and what finish.cuh makes of it.
//
// For up to 8 rows. Grid (column tiles of all weights x row blocks, splits of K), 4 warps. Each
// warp streams a run of blocks of 32 x 32 codes, the next ones on their way while one is
// multiplied; x comes from shared memory. Expected bottleneck: the memory that the codes stream
// from.
//
// x goes through the tensor cores as f16, 11 bits of each element, and could overflow there
// (down_proj's input in Llama-2 passes 65504): each row's part is scaled by a power of two, which
// rounds nothing, that puts its largest magnitude below 2^15, and the f32 sums are scaled back.
// code - zero is exact in f16; the scale multiplies the f32 sum of a block and so is never rounded.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/finish.cuh"
#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/gptq/shared.cuh"
#include "backends/cuda/gptq/stream.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda::gptq {
namespace {

// Element `lane` of a block of K; 0 in what fills the block up.
__device__ __forceinline__ float element(const Layout& l, bool contiguous, const float* row,
                                         uint32_t block) {
  const uint32_t lane = threadIdx.x % 32;
  if (contiguous) {
    const uint32_t k = block * kBlockRows + lane;
    return k < l.rows ? __ldg(row + k) : 0.0f;
  }
  return lane < rows_of_block(l, block) ? __ldg(row + first_row(l, block) + lane) : 0.0f;
}

// Rows of x at up to kBlocks blocks of K, by the calling warp for itself. Rows come several at a
// time, so that they wait for memory and for each other's greatest together.
__device__ __forceinline__ void load_stretch(const Matmul& op, const RowSpan& rows,
                                             const BlockSpan& span, Stretches& shared) {
  constexpr uint32_t kBlocks = Stretches::kBlocks;
  constexpr uint32_t kTogether = 16 / kBlocks;
  const Layout& l = op.part[0].layout;
  const bool contiguous = is_contiguous(l);
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (uint32_t first = 0; first < rows.count; first += kTogether) {
    float values[kTogether][kBlocks], most[kTogether];
#pragma unroll
    for (uint32_t n = 0; n < kTogether; ++n) {
      const float* row = op.x + uint64_t{rows.first + first + n} * l.rows;
#pragma unroll
      for (uint32_t b = 0; b < kBlocks; ++b)
        values[n][b] = first + n < rows.count && span.begin + b < span.end
                           ? element(l, contiguous, row, span.begin + b)
                           : 0.0f;
    }
    // A NaN must reach the sums, and fmaxf() would hide it: the conversion below carries it.
#pragma unroll
    for (uint32_t n = 0; n < kTogether; ++n) {
      most[n] = 0.0f;
#pragma unroll
      for (uint32_t b = 0; b < kBlocks; ++b) most[n] = fmaxf(most[n], fabsf(values[n][b]));
      most[n] = warp_max(most[n]);
    }
#pragma unroll
    for (uint32_t n = 0; n < kTogether; ++n) {
      const uint32_t r = first + n;
      if (r >= rows.count) break;
      const float scale = power_for(most[n]), inverse = 1.0f / scale;
      __half* at = shared.x[warp] + r * shared.kPitch + lane;
#pragma unroll
      for (uint32_t b = 0; b < kBlocks; ++b)
        at[b * kBlockRows] = __float2half(values[n][b] * inverse);
      if (lane == 0) shared.scale[warp][r] = scale;
    }
  }
}

// The rows that are not there, once.
__device__ __forceinline__ void clear_others(const RowSpan& rows, Stretches& shared) {
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (uint32_t i = rows.count * shared.kPitch + lane; i < shared.kRows * shared.kPitch; i += 32)
    shared.x[warp][i] = __float2half(0.0f);
  for (uint32_t r = rows.count + lane; r < shared.kRows; r += 32) shared.scale[warp][r] = 0.0f;
}

// Of columns 2p and 2p + 1 of the lane, as stage.h's sum_row() and sum_column() say.
using Sums = float[2][4];

template <uint32_t kBits>
__device__ __forceinline__ void multiply_block(const uint32_t (&words)[kBits], const Header& header,
                                               const __half* x, const float (&row_scale)[2],
                                               Sums& sums) {
  const uint32_t lane = threadIdx.x % 32;
  const uint4 share =
      *reinterpret_cast<const uint4*>(x + share_row(lane) * Stretches::kPitch + row_of(lane, 0));
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p) {
    uint32_t left[2][4];
    left_of<kBits>(words, header, p, left);
    float part[4];
    multiply_tile(left, share, part);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      sums[p][i] += header.scale[2 * p + i / 2] * row_scale[i % 2] * part[i];
  }
}

// The calling warp's run of K.
template <uint32_t kBits, uint32_t kHeaderWords>
__device__ __forceinline__ void multiply_run(const Matmul& op, const RowSpan& rows,
                                             const BlockSpan& run, const TileOfPart& at,
                                             Stretches& shared, Sums& sums) {
  constexpr uint32_t kBlocks = Stretches::kBlocks, kAhead = 4;
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Stream<kBits, kHeaderWords> stream(op.part[at.part], at.tile);
  typename Stream<kBits, kHeaderWords>::Block ahead[kAhead];
#pragma unroll
  for (uint32_t i = 0; i < kAhead; ++i)
    if (run.begin + i < run.end) stream.load(run.begin + i, ahead[i]);

  for (uint32_t from = run.begin; from < run.end; from += kBlocks) {
    load_stretch(op, rows, {from, run.end}, shared);
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

__device__ __forceinline__ void store_sums(const Sums& sums, Stretches& shared) {
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      shared.sums[(warp * Stretches::kRows + sum_row(lane, i)) * kTileColumns +
                  sum_column(lane, p, i)] = sums[p][i];
}

// The warps' sums in order, sum i being (row, column) (i / 32, i % 32) of the tile.
__device__ __forceinline__ float over_warps(const Stretches& shared, uint32_t i) {
  float sum = 0.0f;
  for (uint32_t w = 0; w < kWarps; ++w) sum += shared.sums[w * Stretches::kRows * kTileColumns + i];
  return sum;
}

template <uint32_t kBits, uint32_t kHeaderWords>
__global__ void __launch_bounds__(kThreads)
    matmul_kernel(const __grid_constant__ Matmul op, const StepView step) {
  __shared__ Stretches shared;
  const uint32_t all_rows = step.counts[static_cast<uint32_t>(op.extent)];
  const Place place = place_of(op.division);
  const uint32_t first = place.row_block * Stretches::kRows;
  if (first >= all_rows) return;
  const RowSpan rows{place.row_block, first, min(all_rows - first, Stretches::kRows)};
  const TileOfPart at = tile_of(op, place.x);
  const BlockSpan run = run_of(op, place.split);
  const uint32_t each = divide_up(run.end - run.begin, kWarps);
  const uint32_t mine = min(run.begin + threadIdx.x / 32 * each, run.end);

  Sums sums = {};
  clear_others(rows, shared);
  multiply_run<kBits, kHeaderWords>(op, rows, {mine, min(mine + each, run.end)}, at, shared, sums);
  __syncthreads();
  store_sums(sums, shared);
  __syncthreads();
  const bool alone = finishes_alone(op, op.division.splits);
  float* partial = alone ? nullptr : sums_at(op, place.split, place.row_block, place.x);
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads)
    if (alone)
      finish_one(op, at, first + i / kTileColumns, i % kTileColumns, over_warps(shared, i));
    else
      partial[i] = over_warps(shared, i);
  if (!alone) finish_together(op, step, rows, place.x, shared.last, shared.head);
}

// Parts that are multiplied together may have scales of different types.
bool have_one_header_word(const Matmul& op) {
  for (uint32_t i = 0; i < op.parts; ++i)
    if (op.part[i].layout.header_words != 1 || op.part[i].layout.zeros != Zeros::beside_scales)
      return false;
  return true;
}

template <uint32_t kBits>
void launch(const Matmul& op, const StepView& step, cudaStream_t stream) {
  // The registers of a second header word would cost a thread block that could read too.
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
