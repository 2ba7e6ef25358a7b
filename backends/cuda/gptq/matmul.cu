// y[r][n] = bias[n] + sum over k of x[r][k] * scale[k / group][n] * (code[k][n] - zero[k /
// group][n])
//
// Grid (column tiles, splits of K, row blocks), 4 warps. A thread block streams its part of a
// column tile once, warp after warp a block of 32 x 32 codes; x comes from shared memory. Expected
// bottleneck: up to some 16 rows the memory that the codes stream from, then the tensor cores.
//
// x goes through the tensor cores as f16, 11 bits of each element, and could overflow there
// (down_proj's input in Llama-2 passes 65504): each row's part is scaled by a power of two, which
// rounds nothing, that puts its largest magnitude below 2^15, and the f32 sums are scaled back.
// code - zero is exact in f16; the scale multiplies the f32 sum of a block and so is never rounded.
//
// No float is added atomically: warps, then splits, are added in order, so a step has the same bits
// every time.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/header.cuh"
#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/gptq/unpack.cuh"
#include "backends/cuda/launch.cuh"
#include "backends/cuda/mma.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kWarps = 4;
constexpr uint32_t kThreads = kWarps * 32;

// A stretch of x in shared memory: `kBlocks` blocks of K. Rows are 64 bytes more than a multiple of
// 128 apart, so that the 8 lanes of a quarter warp read from different banks.
template <uint32_t kRowTiles>
struct Stretch {
  static constexpr uint32_t kRows = 8 * kRowTiles;
  static constexpr uint32_t kBlocks = kRowTiles == 1 ? 32 : 8;
  static constexpr uint32_t kPitch = kBlocks * kBlockRows + 32;
  union {
    alignas(16) __half x[kRows * kPitch];
    float sums[kWarps * kRows * kTileColumns];  // once x has been read for the last time
  };
  float scale[kRows];
  bool last;
};

// Element `lane` of a block of K; 0 in what fills the block up.
__device__ __forceinline__ float element(const Matmul& op, const float* row, uint32_t block,
                                         uint32_t lane) {
  if (lane >= rows_of_block(op.layout, block)) return 0.0f;
  return __ldg(row + first_row(op.layout, block) + lane);
}

// Rows [first, first + count) of x at blocks [begin, end) of K, a warp a row; others become 0.
template <uint32_t kRowTiles>
__device__ void load_stretch(const Matmul& op, uint32_t first, uint32_t count, uint32_t begin,
                             uint32_t end, Stretch<kRowTiles>& to) {
  const uint32_t lane = threadIdx.x % 32;
  for (uint32_t r = threadIdx.x / 32; r < to.kRows; r += kWarps) {
    const float* row = op.x + uint64_t{first + r} * op.layout.rows;
    __half* at = to.x + r * to.kPitch;
    if (r >= count) {
      for (uint32_t b = begin; b < end; ++b) at[(b - begin) * kBlockRows + lane] = __half(0.0f);
      if (lane == 0) to.scale[r] = 0.0f;
      continue;
    }
    // A NaN must reach the sums, and fmaxf() would hide it: the conversion below carries it.
    float most = 0.0f;
    for (uint32_t b = begin; b < end; ++b) most = fmaxf(most, fabsf(element(op, row, b, lane)));
    const float scale = power_for(warp_max(most)), inverse = 1.0f / scale;
    for (uint32_t b = begin; b < end; ++b)
      at[(b - begin) * kBlockRows + lane] = __float2half(element(op, row, b, lane) * inverse);
    if (lane == 0) to.scale[r] = scale;
  }
}

// Columns g + 16p and g + 8 + 16p of pair p, rows 2t and 2t+1 of a row tile: the fragment that the
// tensor cores leave with a lane.
template <uint32_t kRowTiles>
using Sums = float[kRowTiles][2][4];

template <uint32_t kBits, uint32_t kRowTiles>
__device__ __forceinline__ void multiply_block(const uint32_t (&words)[kBits], const Header& header,
                                               const __half* x,
                                               const float (&row_scale)[kRowTiles][2],
                                               Sums<kRowTiles>& sums) {
  const uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p) {
    __half2 column[2][4];
    unpack<kBits>(words, 2 * p, Zero(header.zero[2 * p]), column[0]);
    unpack<kBits>(words, 2 * p + 1, Zero(header.zero[2 * p + 1]), column[1]);
    uint32_t left[2][4];
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i)
      left[i / 4][i % 4] = bits_of(column[i % 2][left_pair(i / 4, i % 4)]);
#pragma unroll
    for (uint32_t tile = 0; tile < kRowTiles; ++tile) {
      const uint4 b = *reinterpret_cast<const uint4*>(
          x + (tile * 8 + lane / 4) * Stretch<kRowTiles>::kPitch + lane % 4 * kLaneRows);
      const uint32_t pairs[4] = {b.x, b.y, b.z, b.w};
      float part[4] = {};
#pragma unroll
      for (uint32_t step = 0; step < 2; ++step) {
        const uint32_t right[2] = {pairs[right_pair(step, 0)], pairs[right_pair(step, 1)]};
        multiply_add(part, left[step], right);
      }
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i)
        sums[tile][p][i] += header.scale[2 * p + i / 2] * row_scale[tile][i % 2] * part[i];
    }
  }
}

// The warps' sums of row r, column c, in order; valid for the caller's thread alone.
template <uint32_t kRowTiles>
__device__ __forceinline__ float over_warps(const Stretch<kRowTiles>& shared, uint32_t i) {
  float sum = 0.0f;
  for (uint32_t w = 0; w < kWarps; ++w) sum += shared.sums[w * shared.kRows * kTileColumns + i];
  return sum;
}

__device__ __forceinline__ void store(const Matmul& op, uint32_t row, uint32_t column, float sum) {
  if (column < op.layout.cols)
    op.y[uint64_t{row} * op.layout.cols + column] = sum + (op.bias ? op.bias[column] : 0.0f);
}

// Writes this split's sums; the thread block that arrives last adds all splits in order.
template <uint32_t kRowTiles>
__device__ void add_splits(const Matmul& op, uint32_t first, uint32_t count,
                           Stretch<kRowTiles>& shared) {
  constexpr uint32_t kSums = 8 * kRowTiles * kTileColumns;
  const uint32_t there = blockIdx.z * gridDim.x + blockIdx.x, all = gridDim.z * gridDim.x;
  float* mine = op.partials + (uint64_t{blockIdx.y} * all + there) * kSums;
  const uint32_t used = count * kTileColumns;
  for (uint32_t i = threadIdx.x; i < used; i += kThreads) mine[i] = over_warps(shared, i);
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) shared.last = atomicAdd(op.arrivals + there, 1u) == gridDim.y - 1;
  __syncthreads();
  if (!shared.last) return;
  __threadfence();
  for (uint32_t i = threadIdx.x; i < used; i += kThreads) {
    float sum = 0.0f;
    for (uint32_t split = 0; split < gridDim.y; ++split)
      sum += __ldcg(op.partials + (uint64_t{split} * all + there) * kSums + i);
    store(op, first + i / kTileColumns, blockIdx.x * kTileColumns + i % kTileColumns, sum);
  }
  if (threadIdx.x == 0) op.arrivals[there] = 0;
}

template <uint32_t kBits, uint32_t kRowTiles>
__global__ void __launch_bounds__(kThreads) matmul_kernel(const Matmul op, const StepView step) {
  __shared__ Stretch<kRowTiles> shared;
  constexpr uint32_t kRows = Stretch<kRowTiles>::kRows, kBlocks = Stretch<kRowTiles>::kBlocks;
  const uint32_t rows = step.counts[static_cast<uint32_t>(op.extent)];
  const uint32_t first = blockIdx.z * kRows;
  if (first >= rows) return;
  const uint32_t count = min(rows - first, kRows);
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t* tile = op.weight + blockIdx.x * tile_words(op.layout);
  const uint32_t begin = blockIdx.y * op.division.blocks_per_split;
  const uint32_t end = min(begin + op.division.blocks_per_split, blocks(op.layout));
  const uint32_t per_group = blocks_per_group(op.layout);

  Sums<kRowTiles> sums = {};
  for (uint32_t from = begin; from < end; from += kBlocks) {
    const uint32_t to = min(from + kBlocks, end);
    __syncthreads();
    load_stretch(op, first, count, from, to, shared);
    __syncthreads();
    float row_scale[kRowTiles][2];
#pragma unroll
    for (uint32_t t = 0; t < kRowTiles; ++t)
      for (uint32_t i = 0; i < 2; ++i) row_scale[t][i] = shared.scale[t * 8 + lane % 4 * 2 + i];
#pragma unroll 2
    for (uint32_t block = from + warp; block < to; block += kWarps) {
      uint32_t words[kBits];
      load_codes<kBits>(tile + block_at(op.layout, block), lane, words);
      const Header header =
          load_header(op.layout, tile + header_at(op.layout, block / per_group), lane);
      multiply_block<kBits, kRowTiles>(words, header, shared.x + (block - from) * kBlockRows,
                                       row_scale, sums);
    }
  }

  __syncthreads();
#pragma unroll
  for (uint32_t t = 0; t < kRowTiles; ++t)
#pragma unroll
    for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) {
        const uint32_t row = t * 8 + lane % 4 * 2 + i % 2;
        const uint32_t column = lane / 4 + 16 * p + 8 * (i / 2);
        shared.sums[(warp * kRows + row) * kTileColumns + column] = sums[t][p][i];
      }
  __syncthreads();
  if (gridDim.y > 1) return add_splits(op, first, count, shared);
  for (uint32_t i = threadIdx.x; i < count * kTileColumns; i += kThreads)
    store(op, first + i / kTileColumns, blockIdx.x * kTileColumns + i % kTileColumns,
          over_warps(shared, i));
}

template <uint32_t kBits>
void launch(const Matmul& op, const StepView& step, cudaStream_t stream) {
  const dim3 grid(column_tiles(op.layout), op.division.splits, op.division.row_blocks);
  if (op.division.row_block == 8)
    run_kernel(matmul_kernel<kBits, 1>, grid, kThreads, stream, op, step);
  else if (op.division.row_block == 32)
    run_kernel(matmul_kernel<kBits, 4>, grid, kThreads, stream, op, step);
  else
    run_kernel(matmul_kernel<kBits, 8>, grid, kThreads, stream, op, step);
}

}  // namespace

void matmul(const Matmul& op, const StepView& step, cudaStream_t stream) {
  switch (op.layout.bits) {
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
