// p[r][n] = bias[n] + sum over k of x[r][k] * scale[k / group][n] * (code[k][n] - zero[k /
// group][n]) for one to three weights, and what finish.cuh makes of it.
//
// Grid (column tiles of all weights x row blocks, splits of K), 4 warps. Each warp streams a run of
// blocks of 32 x 32 codes, the next ones on their way while one is multiplied; x comes from shared
// memory. Expected bottleneck: up to some 16 rows the memory that the codes stream from, then x,
// which every column tile reads anew, and the tensor cores.
//
// x goes through the tensor cores as f16, 11 bits of each element, and could overflow there
// (down_proj's input in Llama-2 passes 65504): each row's part is scaled by a power of two, which
// rounds nothing, that puts its largest magnitude below 2^15, and the f32 sums are scaled back.
// code - zero is exact in f16; the scale multiplies the f32 sum of a block and so is never rounded.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/finish.cuh"
#include "backends/cuda/gptq/header.cuh"
#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/gptq/shared.cuh"
#include "backends/cuda/gptq/unpack.cuh"
#include "backends/cuda/launch.cuh"
#include "backends/cuda/mma.cuh"

namespace ropewalk::cuda::gptq {
namespace {

// Blocks of K [begin, end).
struct BlockSpan {
  uint32_t begin, end;
};

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
template <uint32_t kRowTiles>
__device__ __forceinline__ void load_stretch(const Matmul& op, const RowSpan& rows,
                                             const BlockSpan& span, Shared<kRowTiles>& shared) {
  constexpr uint32_t kBlocks = Shared<kRowTiles>::kBlocks;
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
template <uint32_t kRowTiles>
__device__ __forceinline__ void clear_others(const RowSpan& rows, Shared<kRowTiles>& shared) {
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (uint32_t i = rows.count * shared.kPitch + lane; i < shared.kRows * shared.kPitch; i += 32)
    shared.x[warp][i] = __float2half(0.0f);
  for (uint32_t r = rows.count + lane; r < shared.kRows; r += 32) shared.scale[warp][r] = 0.0f;
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
          x + (tile * 8 + lane / 4) * Shared<kRowTiles>::kPitch + lane % 4 * kLaneRows);
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

// A column tile's stream, and a block of it as it comes from memory. kHeaderWords is the layout's,
// or 0 for what the layout says at run time: then the blocks ahead hold registers for two words.
template <uint32_t kBits, uint32_t kHeaderWords>
class Stream {
 public:
  struct Block {
    uint32_t words[kBits];
    StoredHeader header;
  };

  __device__ __forceinline__ Stream(const Part& part, uint32_t tile)
      : begin_(reinterpret_cast<const uint32_t*>(part.weight) + tile * tile_words(part.layout)),
        divisor_(group_divisor(part.layout)),
        header_words_(part.layout.header_words),
        group_words_(group_header_words(part.layout)) {}

  // Blocks and headers before it are all that is before a block: layout.h's header_at() and
  // block_at() without their divisions.
  __device__ __forceinline__ void load(uint32_t block, Block& to, uint32_t blocks_per_group) const {
    const uint32_t lane = threadIdx.x % 32, group = group_of(divisor_, block);
    const uint32_t headers = group * group_words_;
    load_codes<kBits>(begin_ + headers + group_words_ + block * kLanes * kBits, lane, to.words);
    to.header = load_header(header_words(),
                            begin_ + headers + group * blocks_per_group * kLanes * kBits, lane);
  }
  __device__ __forceinline__ Header header(const Block& block) const {
    return decode(header_words(), block.header);
  }

 private:
  __device__ __forceinline__ uint32_t header_words() const {
    return kHeaderWords == 0 ? header_words_ : kHeaderWords;
  }

  const uint32_t* begin_;
  uint32_t divisor_, header_words_, group_words_;
};

// The calling warp's run of K.
template <uint32_t kBits, uint32_t kRowTiles, uint32_t kHeaderWords>
__device__ __forceinline__ void multiply_run(const Matmul& op, const RowSpan& rows,
                                             const BlockSpan& run, const TileOfPart& at,
                                             Shared<kRowTiles>& shared, Sums<kRowTiles>& sums) {
  constexpr uint32_t kBlocks = Shared<kRowTiles>::kBlocks, kAhead = kBlocks < 4 ? kBlocks : 4;
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Part& part = op.part[at.part];
  const Stream<kBits, kHeaderWords> stream(part, at.tile);
  const uint32_t per_group = blocks_per_group(part.layout);
  typename Stream<kBits, kHeaderWords>::Block ahead[kAhead];
#pragma unroll
  for (uint32_t i = 0; i < kAhead; ++i)
    if (run.begin + i < run.end) stream.load(run.begin + i, ahead[i], per_group);

  for (uint32_t from = run.begin; from < run.end; from += kBlocks) {
    load_stretch(op, rows, {from, run.end}, shared);
    __syncwarp();
    float row_scale[kRowTiles][2];
#pragma unroll
    for (uint32_t t = 0; t < kRowTiles; ++t)
      for (uint32_t i = 0; i < 2; ++i)
        row_scale[t][i] = shared.scale[warp][t * 8 + lane % 4 * 2 + i];
#pragma unroll
    for (uint32_t b = 0; b < kBlocks; ++b) {
      if (from + b >= run.end) break;
      const typename Stream<kBits, kHeaderWords>::Block block = ahead[b % kAhead];
      if (from + b + kAhead < run.end) stream.load(from + b + kAhead, ahead[b % kAhead], per_group);
      multiply_block<kBits, kRowTiles>(block.words, stream.header(block),
                                       shared.x[warp] + b * kBlockRows, row_scale, sums);
    }
    __syncwarp();
  }
}

template <uint32_t kRowTiles>
__device__ __forceinline__ void store_sums(const Sums<kRowTiles>& sums, Shared<kRowTiles>& shared) {
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t t = 0; t < kRowTiles; ++t)
#pragma unroll
    for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) {
        const uint32_t row = t * 8 + lane % 4 * 2 + i % 2;
        const uint32_t column = lane / 4 + 16 * p + 8 * (i / 2);
        shared.sums[(warp * shared.kRows + row) * kTileColumns + column] = sums[t][p][i];
      }
}

template <uint32_t kBits, uint32_t kRowTiles, uint32_t kHeaderWords>
__global__ void __launch_bounds__(kThreads)
    matmul_kernel(const __grid_constant__ Matmul op, const StepView step) {
  __shared__ Shared<kRowTiles> shared;
  const uint32_t all_rows = step.counts[static_cast<uint32_t>(op.extent)];
  const Place place = place_of(op.division);
  const uint32_t first = place.row_block * shared.kRows;
  if (first >= all_rows) return;
  const RowSpan rows{place.row_block, first, min(all_rows - first, shared.kRows)};
  const TileOfPart at = tile_of(op, place.x);
  const uint32_t begin = place.split * op.division.blocks_per_split;
  const uint32_t end = min(begin + op.division.blocks_per_split, blocks(op.part[0].layout));
  const uint32_t each = divide_up(end - begin, kWarps);
  const uint32_t mine = min(begin + threadIdx.x / 32 * each, end);

  Sums<kRowTiles> sums = {};
  clear_others(rows, shared);
  multiply_run<kBits, kRowTiles, kHeaderWords>(op, rows, {mine, min(mine + each, end)}, at, shared,
                                               sums);
  __syncthreads();
  store_sums(sums, shared);
  __syncthreads();
  if (!finishes_alone(op, op.division.splits))
    return finish_together(op, step, place, rows, shared);
  for (uint32_t i = threadIdx.x; i < rows.count * kTileColumns; i += kThreads)
    finish_one(op, at, first + i / kTileColumns, i % kTileColumns, over_warps(shared, i));
}

// Parts that are multiplied together may have scales of different types.
bool have_one_header_word(const Matmul& op) {
  for (uint32_t i = 0; i < op.parts; ++i)
    if (op.part[i].layout.header_words != 1) return false;
  return true;
}

template <uint32_t kBits>
void launch(const Matmul& op, const StepView& step, cudaStream_t stream) {
  const dim3 grid(op.division.tiles * op.division.row_blocks, op.division.splits);
  // Few rows wait for memory: the registers of a second header word would cost a thread block that
  // could read too. Of more rows the sums take most registers, and one kernel does for both.
  if (op.division.row_block == 8 && have_one_header_word(op))
    run_kernel(matmul_kernel<kBits, 1, 1>, grid, kThreads, stream, op, step);
  else if (op.division.row_block == 8)
    run_kernel(matmul_kernel<kBits, 1, 0>, grid, kThreads, stream, op, step);
  else if (op.division.row_block == 32)
    run_kernel(matmul_kernel<kBits, 4, 0>, grid, kThreads, stream, op, step);
  else
    run_kernel(matmul_kernel<kBits, 8, 0>, grid, kThreads, stream, op, step);
}

}  // namespace

void matmul(const Matmul& op, const StepView& step, cudaStream_t stream) {
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
