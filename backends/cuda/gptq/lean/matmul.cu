// With g = k / 32, for one to three weights of 4 bits in groups of 32 and up to 8 rows, then the
// epilogue in the same launch: bias, residual, SiLU, RoPE and the cache.
//
//   p[r][n] = bias[n] + sum over k of x[r][k] * scale[g][n] * (code[k][n] - zero[g][n])
//
// Grid: one wave, a thread block of 8 warps on each multiprocessor. Each warp streams an equal
// share of the blocks of 32 x 32 codes (lean/shares.h) through a ring of its own (lean/ring.cuh). x
// of the slice lies in shared memory; it was made f16 beforehand (lean/x.h), or each thread block
// computes it from f32, with a norm and an order (lean/fold.cuh). Expected bottleneck:
// memory, from which the codes stream.
//
// One instruction puts a pair of 4-bit codes c into the last mantissa bits of 1024 as f16: bits 0
// to 3 make 1024 + c, bits 4 to 7 make 1024 + 16 c, and x / 16 multiplies the latter. Over a block
// let S = sum of x and H = sum of those x that were divided. Then
//
//   sum x' (1024 + c') = sum x c + 1024 (S - H) + 64 H = sum x c + 1024 S - 960 H
//
// so the tensor cores' sums start at 960 H - (1024 + zero) S instead of 0, and the result is
// sum x (c - zero). This is exact except for the f32 of the sums: an rms error of 1e-5 of a block's
// result, where rounding x to f16 makes 2e-4 (simulated, with sums truncated as tensor cores do).
//
// Instructions of a warp for a block (scripts/sass-count.sh counts them): 5 loads from shared
// memory, 16 LOP3 and 4 shifts for codes, 4 mma, 4 conversions of scales, 10 for zeros, and
// multiply-adds: 4 before and 4 after the mma for one row, 8 and 8 for more.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/lean/finish.cuh"
#include "backends/cuda/gptq/lean/fold.cuh"
#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/gptq/lean/ring.cuh"
#include "backends/cuda/gptq/lean/segment.cuh"
#include "backends/cuda/gptq/lean/stage.cuh"
#include "backends/cuda/gptq/stage.h"
#include "backends/cuda/gptq/unpack.cuh"
#include "backends/cuda/kernel/mma.cuh"

namespace ropewalk::cuda::gptq {
namespace {

// sums[p][i]: the lane's columns 2p and 2p + 1; stage.h's sum_row() and sum_column() say which.
// With one row all rows of the instruction are that row, and the sums with i % 2 == 1 are unused.
using Sums = float[2][4];

// An undefined float that nobody reads; it takes no instruction.
__device__ __forceinline__ float undefined_float() {
#if defined(__CUDACC__)
  float any;
  asm("" : "=f"(any));
  return any;
#else
  return 0.0f;
#endif
}

// Sets the sums of the lane's columns and rows to their start.
template <uint32_t kRows, Zeros kZeros>
__device__ __forceinline__ void start_sums(const WeightFragment& w, const void* starts,
                                           Sums& sums) {
  constexpr uint32_t kMine = kRows == 1 ? 1 : 2;
  const uint32_t first = kRows == 1 ? 0 : threadIdx.x % 4 * 2;
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
    for (uint32_t i = kMine; i < 2; ++i) sums[p][i] = sums[p][i + 2] = undefined_float();
  if constexpr (kZeros == Zeros::constant) {
    const auto* at = static_cast<const float*>(starts) + first;
    float start[2] = {at[0], 0.0f};
    if constexpr (kMine == 2) {
      const float2 both = *reinterpret_cast<const float2*>(at);
      start[0] = both.x;
      start[1] = both.y;
    }
#pragma unroll
    for (uint32_t j = 0; j < kLaneColumns; ++j)
#pragma unroll
      for (uint32_t i = 0; i < kMine; ++i) sums[j / 2][j % 2 * 2 + i] = start[i];
  } else {
    // 1024 + zero of the columns 0 and 1, then 2 and 3.
    const uint32_t spread = __byte_perm(w.zeros, 0, 0x4140);
    const float2 low = floats_of(bits_with_1024<0x000f000f>(spread));
    const float2 high = floats_of(bits_with_1024<0x000f000f>(spread >> 4));
    const float zero[4] = {low.x, low.y, high.x, high.y};
    float2 start[2];
    const auto* at = static_cast<const float2*>(starts) + first;
    if constexpr (kMine == 2) {
      const float4 both = *reinterpret_cast<const float4*>(at);
      start[0] = {both.x, both.y};
      start[1] = {both.z, both.w};
    } else {
      start[0] = *at;
    }
#pragma unroll
    for (uint32_t j = 0; j < kLaneColumns; ++j)
#pragma unroll
      for (uint32_t i = 0; i < kMine; ++i)
        sums[j / 2][j % 2 * 2 + i] = fmaf(zero[j], start[i].x, start[i].y);
  }
}

// Adds a block of K to the sums; `x` is the lane's fragment of it.
template <uint32_t kRows, Zeros kZeros>
__device__ __forceinline__ void multiply_block(const WeightFragment& w, const uint4& x,
                                               const void* starts, Sums& sums) {
  const uint32_t words[4] = {w.codes.x, w.codes.y, w.codes.z, w.codes.w};
  const float2 scales[2] = {floats_of(w.scales.x), floats_of(w.scales.y)};
  Sums part;
  start_sums<kRows, kZeros>(w, starts, part);
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p) {
#pragma unroll
    for (uint32_t step = 0; step < 2; ++step) {
      const uint32_t a = words[2 * p] >> 8 * step, b = words[2 * p + 1] >> 8 * step;
      const uint32_t left[4] = {bits_with_1024<0x000f000f>(a), bits_with_1024<0x000f000f>(b),
                                bits_with_1024<0x00f000f0>(a), bits_with_1024<0x00f000f0>(b)};
      const uint32_t right[2] = {step == 0 ? x.x : x.z, step == 0 ? x.y : x.w};
      multiply_add(part[p], left, right);
    }
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      if (kRows > 1 || i % 2 == 0)
        sums[p][i] = fmaf(i < 2 ? scales[p].x : scales[p].y, part[p][i], sums[p][i]);
  }
}

// Where the lane reads x and the starts, for a block of K of the slice.
template <uint32_t kRows, Zeros kZeros>
struct Operand {
  const std::byte *x, *starts;

  static constexpr uint32_t kXBytes = kRows * kBlockRows * 2;
  static constexpr uint32_t kStartBytes = kRows * (kZeros == Zeros::constant ? 4 : 8);

  __device__ __forceinline__ Operand(const LeanShared& shared, uint32_t block)
      : x(shared.x + block * kXBytes + threadIdx.x % 32 / 4 % kRows * kBlockRows * 2 +
          threadIdx.x % 4 * 16),
        starts(shared.starts + block * kStartBytes) {}
  __device__ __forceinline__ void multiply(const WeightFragment& w, uint32_t b, Sums& sums) const {
    multiply_block<kRows, kZeros>(w, *reinterpret_cast<const uint4*>(x + b * kXBytes),
                                  starts + b * kStartBytes, sums);
  }
  __device__ __forceinline__ void advance(uint32_t blocks) {
    x += blocks * kXBytes;
    starts += blocks * kStartBytes;
  }
};

template <Copies kCopies, uint32_t kRows, Zeros kZeros>
__device__ __forceinline__ void run(const LeanMatmul& op, const StepView& step) {
  constexpr uint32_t kBlockBytes = small_block_bytes(kZeros);
  if (op.lets_next_at_begin) let_next_kernel_start();
  // find the slice and the share of the warp, and request its first weights, which no kernel writes
  const uint32_t per_slice = op.shares.warps / kLeanWarps;
  const uint32_t index = blockIdx.x / per_slice, in_block = threadIdx.x / 32;
  const uint32_t warp = (blockIdx.x - index * per_slice) * kLeanWarps + in_block;
  const Slice slice = slice_at(op.shares, index);
  const Share share = share_of(op.shares, slice, warp);
  const LeanShared shared(lean_shared_layout(kCopies, kBlockBytes, slice_blocks(op.shares) * kRows,
                                             head_floats(op), kRows == 1 ? row_floats(op) : 0));
  const auto tile_at = [&](uint32_t x) {
    const TileOfPart at = tile_of(op, x);
    return op.part[at.part].weight +
           (uint64_t{at.tile} * op.shares.blocks + slice.begin) * kBlockBytes;
  };
  constexpr uint32_t kRingBytes = stages_of(kCopies) * kChunk * kBlockBytes;
  Ring<kCopies, kBlockBytes, decltype(tile_at)> ring(
      shared.ring + in_block * kRingBytes, shared.barriers + in_block * stages_of(kCopies),
      {share, slice.blocks, tile_at}, op.chunks_ahead);

  // wait for earlier kernels, then stage x of the slice and read the number of rows
  if (kRows == 1 && op.folded.from) {
    const FoldedElements mine(op, slice);
    wait_for_kernel_before();
    stage_folded<kZeros>(op, slice, mine, shared);
  } else {
    wait_for_kernel_before();
    stage_x<kRows, kZeros>(op, slice, shared);
  }
  const uint32_t rows = min(step.counts[static_cast<uint32_t>(op.extent)], kRows);

  // multiply segment after segment
  uint32_t tile = share.begin / slice.blocks, first = share.begin - tile * slice.blocks;
  uint64_t segment = first_segment_at(op.shares, index, warp);
  for (uint32_t left = share.count; left != 0; ++tile, ++segment, first = 0) {
    const uint32_t count = min(left, slice.blocks - first);
    left -= count;
    Sums sums = {};
    multiply_segment<kCopies, kZeros, kChunk>(ring, Operand<kRows, kZeros>(shared, first), count,
                                              sums);
    store_segment<kRows>(op, segment, shared, sums);
    const uint32_t together = tiles_together(op);
    if (ends_group(op, tile, count))
      finish_group<kRows>(op, step, 0, rows, tile / together * together,
                          shared.heads + in_block * head_floats(op));
  }
}

// Thread blocks of two kernels share a multiprocessor where the next one starts early: from sm_90
// on.
template <Copies kCopies, uint32_t kRows, Zeros kZeros>
__global__ void __launch_bounds__(kLeanThreads, kCopies == Copies::bulk ? 2 : 1)
    lean_kernel(const __grid_constant__ LeanMatmul op, const StepView step) {
  if constexpr (has_copies(kCopies)) run<kCopies, kRows, kZeros>(op, step);
}

template <Copies kCopies, uint32_t kRows, Zeros kZeros>
void launch(const LeanMatmul& op, const StepView& step, cudaStream_t stream) {
  const uint32_t pairs = slice_blocks(op.shares) * kRows;
  const LeanSharedLayout room = lean_shared_layout(
      kCopies, small_block_bytes(kZeros), pairs, head_floats(op), kRows == 1 ? row_floats(op) : 0);
  run_kernel_in(lean_kernel<kCopies, kRows, kZeros>,
                {thread_blocks_of(op.shares), kLeanThreads, room.end, op.start, stream}, op, step);
}

}  // namespace

void lean_matmul(const LeanMatmul& op, const StepView& step, cudaStream_t stream) {
  with_copies(op.copies, [&]<Copies kCopies>() {
    with_zeros(op.part[0].layout, [&]<Zeros kZeros>() {
      if (lean_rows(op.rows) == 1)
        launch<kCopies, 1, kZeros>(op, step, stream);
      else
        launch<kCopies, kLeanMaxRows, kZeros>(op, step, stream);
    });
  });
}

}  // namespace ropewalk::cuda::gptq
