// The formula of gptq/lean/matmul.cu for 9 to 64 rows, then the epilogue in the same launch.
//
// Grid: one wave, as there: each warp streams an equal share of the blocks of 32 x 32 codes through
// a ring of its own. x of the slice, f16 with a scale a row (gptq/x_to_f16.h), is copied to shared
// memory once for all 8 warps. What differs is whose work is saved. With many rows the codes are
// made code - zero, exact in f16, once for all rows (gptq/unpack.cuh), so x needs no sums and no
// element of it is divided:
//
//   instructions of a warp for a block     68 + 12 R/8     3 loads, 36 for the codes, 8 for zeros,
//                                                          4 for scales, the ring, addresses; for
//                                                          8 rows a load, 4 mma, 8 multiply-adds
//   with 32 and 64 rows                    98, 110         the weights are multiplied by their
//                                                          scales, 16 instructions, and no sums
//   bytes of a thread block                592 a block, 64 R a block of K of x, 256 R a segment
//
// Sums of segments are written by the warp; the thread block notes the groups of tiles to which it
// was the last to add, and finishes them at its end with all warps, 8 rows each at a time: a single
// warp would add up 64 rows one after the other. Slices are shorter than shared memory allows where
// that saves more of x than it costs in sums (lean/shares.h: ShareCosts).
//
// From 32 rows on a weight is rounded to f16 once, as dequantise() does for larger batches; the
// tensor cores then add one block after the other to the same sums.
//
// Expected bottleneck: memory up to 32 rows, whose instructions fit into the 144 of an H200 while
// the block streams; at 64 rows the tensor cores, whose 32 mma a block take some 200 of 144 clocks.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/lean/finish.cuh"
#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/gptq/lean/ring.cuh"
#include "backends/cuda/gptq/lean/segment.cuh"
#include "backends/cuda/gptq/stage.h"
#include "backends/cuda/gptq/stream.cuh"

namespace ropewalk::cuda::gptq {
namespace {

// stage.h's sum_row() and sum_column() say which sums these are.
template <uint32_t kRowTiles>
using Sums = float[kRowTiles][2][4];

struct WideShared {
  std::byte *ring, *x;
  float* heads;  // in the place of x, once that has been read
  Barrier* barriers;
  uint32_t *count, *groups;  // that the thread block finishes

  __device__ __forceinline__ explicit WideShared(const WideSharedLayout& layout) {
    std::byte* all = dynamic_shared();
    ring = all;
    x = all + layout.x;
    heads = reinterpret_cast<float*>(x);
    barriers = reinterpret_cast<Barrier*>(all + layout.barriers);
    count = reinterpret_cast<uint32_t*>(all + layout.finished);
    groups = count + 1;
  }
};

// Copies x of a slice. Rows beyond the bucket's stay undefined: a row of x is a column of the
// instruction, so it does not reach other rows, and its sums are dropped.
template <uint32_t kRows>
__device__ __forceinline__ void stage_x(const LeanMatmul& op, const Slice& slice,
                                        const WideShared& shared) {
  constexpr uint32_t kPieces = kBlockRows / kChunkElements;  // of 16 bytes, of a block of a row
  const uint32_t pitch = padded_rows(op.part[0].layout);
  const auto* from = reinterpret_cast<const __half*>(op.x_f16) + slice.begin * kBlockRows;
  auto* to = reinterpret_cast<__half*>(shared.x);
  for (uint32_t i = threadIdx.x; i < slice.blocks * kRows * kPieces; i += kLeanThreads) {
    const uint32_t row = i / kPieces % kRows, block = i / (kPieces * kRows);
    if (row < op.rows)
      copy_16(to + i * kChunkElements,
              from + row * pitch + block * kBlockRows + i % kPieces * kChunkElements);
  }
  wait_for_copies();
  __syncthreads();
}

// The zeros of the lane's columns 2p and 2p + 1.
template <Zeros kZeros>
__device__ __forceinline__ void zeros_of(const WeightFragment& w, __half2 offset, uint32_t p,
                                         Zero (&zero)[2]) {
  const __half2 to_64 = __float2half2_rn(960.0f);
  if constexpr (kZeros == Zeros::constant) {
    zero[0] = zero[1] = Zero(offset, __hadd2(offset, to_64));
  } else {
    // 1024 + zero of the columns 0 and 1, then 2 and 3
    const uint32_t spread = __byte_perm(w.zeros, 0, 0x4140) >> 4 * p;
    const __half2 both = __hsub2(offset, add_1024<0x000f000f>(spread));
    const __half2 both_64 = __hadd2(both, to_64);
    zero[0] = Zero(__low2half2(both), __low2half2(both_64));
    zero[1] = Zero(__high2half2(both), __high2half2(both_64));
  }
}

// Multiplies the left fragments of two columns by their scales.
__device__ __forceinline__ void scale_left(uint32_t scales, uint32_t (&left)[2][4]) {
  const __half2 both = pair_of(scales), scale[2] = {__low2half2(both), __high2half2(both)};
#pragma unroll
  for (uint32_t i = 0; i < 8; ++i)
    left[i / 4][i % 4] = bits_of(__hmul2(pair_of(left[i / 4][i % 4]), scale[i % 2]));
}

// x from a block of K on, as the lane reads it.
template <uint32_t kRowTiles, Zeros kZeros>
struct Operand {
  static constexpr uint32_t kBlockBytes = kRowTiles * 8 * kBlockRows * 2;
  static constexpr bool kScalesWeights = kRowTiles >= 4;

  const std::byte* x;
  __half2 offset;  // constant zeros: -(1024 + zero), else what is added to minus the stored ones

  __device__ __forceinline__ Operand(const LeanMatmul& op, const WideShared& shared, uint32_t block)
      : x(shared.x + block * kBlockBytes + fragment_row(threadIdx.x % 32) * kBlockRows * 2 +
          threadIdx.x % 4 * 16) {
    const float zero = static_cast<float>(op.part[0].layout.zero);
    offset = __float2half2_rn(kZeros == Zeros::constant ? -1024.0f - zero : -zero);
  }
  __device__ __forceinline__ void advance(uint32_t blocks) { x += blocks * kBlockBytes; }

  __device__ __forceinline__ void multiply(const WeightFragment& w, uint32_t b,
                                           Sums<kRowTiles>& sums) const {
    const uint32_t words[4] = {w.codes.x, w.codes.y, w.codes.z, w.codes.w};
    uint32_t left[2][2][4];
#pragma unroll
    for (uint32_t p = 0; p < 2; ++p) {
      Zero zero[2] = {Zero(offset, offset), Zero(offset, offset)};
      zeros_of<kZeros>(w, offset, p, zero);
      left_of<4>(words, zero, p, left[p]);
      if constexpr (kScalesWeights) scale_left(p == 0 ? w.scales.x : w.scales.y, left[p]);
    }
#pragma unroll
    for (uint32_t t = 0; t < kRowTiles; ++t) {
      const uint4 mine =
          *reinterpret_cast<const uint4*>(x + b * kBlockBytes + t * 8 * kBlockRows * 2);
#pragma unroll
      for (uint32_t p = 0; p < 2; ++p) {
        if constexpr (kScalesWeights) {
          add_tile(left[p], mine, sums[t][p]);
        } else {
          const float2 scale = floats_of(p == 0 ? w.scales.x : w.scales.y);
          float part[4];
          multiply_tile(left[p], mine, part);
#pragma unroll
          for (uint32_t i = 0; i < 4; ++i)
            sums[t][p][i] = fmaf(i < 2 ? scale.x : scale.y, part[i], sums[t][p][i]);
        }
      }
    }
  }
};

// Stores the sums (row, column) of a segment for the rows of the step.
template <uint32_t kRowTiles>
__device__ __forceinline__ void store_segment(const LeanMatmul& op, uint32_t rows, uint64_t segment,
                                              const Sums<kRowTiles>& sums) {
  const uint32_t lane = threadIdx.x % 32;
  float* to = op.partials + segment * kRowTiles * 8 * kTileColumns;
#pragma unroll
  for (uint32_t t = 0; t < kRowTiles; ++t)
#pragma unroll
    for (uint32_t odd = 0; odd < 2; ++odd) {
      const uint32_t row = t * 8 + sum_row(lane, odd);
      if (row >= rows) continue;
      const float scale = __ldcg(op.x_scales + row);
#pragma unroll
      for (uint32_t p = 0; p < 2; ++p)
#pragma unroll
        for (uint32_t i = odd; i < 4; i += 2)
          to[row * kTileColumns + sum_column(lane, p, i)] = sums[t][p][i] * scale;
    }
}

// Finishes the groups that the thread block has noted: a warp 8 rows of one at a time.
template <uint32_t kRows>
__device__ inline void finish_noted(const LeanMatmul& op, const StepView& step, uint32_t rows,
                                    const WideShared& shared) {
  const uint32_t together = tiles_together(op), eights = divide_up(rows, kLeanMaxRows);
  float* head = shared.heads + threadIdx.x / 32 * head_floats(op);
  for (uint32_t i = threadIdx.x / 32; i < *shared.count * eights; i += kLeanWarps) {
    const uint32_t begin = i % eights * kLeanMaxRows;
    finish_group<kRows>(op, step, begin, min(begin + kLeanMaxRows, rows),
                        shared.groups[i / eights] * together, head);
  }
}

template <Copies kCopies, uint32_t kRowTiles, Zeros kZeros>
__device__ __forceinline__ void run(const LeanMatmul& op, const StepView& step) {
  constexpr uint32_t kBlockBytes = small_block_bytes(kZeros), kRows = kRowTiles * 8;
  if (op.lets_next_at_begin) let_next_kernel_start();
  // find the slice and the share of the warp, and request its first weights, which no kernel writes
  const uint32_t per_slice = op.shares.warps / kLeanWarps;
  const uint32_t index = blockIdx.x / per_slice, in_block = threadIdx.x / 32;
  const uint32_t warp = (blockIdx.x - index * per_slice) * kLeanWarps + in_block;
  const Slice slice = slice_at(op.shares, index);
  const Share share = share_of(op.shares, slice, warp);
  const WideShared shared(
      wide_shared_layout(kCopies, kBlockBytes, slice_blocks(op.shares) * kRows, head_floats(op)));
  const auto tile_at = [&](uint32_t x) {
    const TileOfPart at = tile_of(op, x);
    return op.part[at.part].weight +
           (uint64_t{at.tile} * op.shares.blocks + slice.begin) * kBlockBytes;
  };
  constexpr uint32_t kUnrolled = kRowTiles == 8 ? 2 : kChunk;  // more would spill
  constexpr uint32_t kRingBytes = stages_of(kCopies) * kChunk * kBlockBytes;
  Ring<kCopies, kBlockBytes, decltype(tile_at)> ring(
      shared.ring + in_block * kRingBytes, shared.barriers + in_block * stages_of(kCopies),
      {share, slice.blocks, tile_at}, op.chunks_ahead);
  if (threadIdx.x == 0) *shared.count = 0;

  // wait for earlier kernels, then copy x of the slice and read the number of rows
  wait_for_kernel_before();
  stage_x<kRows>(op, slice, shared);
  const uint32_t rows = min(step.counts[static_cast<uint32_t>(op.extent)], kRows);

  // multiply segment after segment
  uint32_t tile = share.begin / slice.blocks, first = share.begin - tile * slice.blocks;
  uint64_t segment = first_segment_at(op.shares, index, warp);
  for (uint32_t left = share.count; left != 0; ++tile, ++segment, first = 0) {
    const uint32_t count = min(left, slice.blocks - first);
    left -= count;
    Sums<kRowTiles> sums = {};
    multiply_segment<kCopies, kZeros, kUnrolled>(
        ring, Operand<kRowTiles, kZeros>(op, shared, first), count, sums);
    store_segment<kRowTiles>(op, rows, segment, sums);
    if (ends_group(op, tile, count) && threadIdx.x % 32 == 0)
      shared.groups[atomicAdd(shared.count, 1u)] = tile / tiles_together(op);
  }
  __syncthreads();
  finish_noted<kRows>(op, step, rows, shared);
}

// Thread blocks of more than 16 rows take more than half of the shared memory, so that a second one
// would not fit anyway, and more than half of the registers.
template <Copies kCopies, uint32_t kRowTiles, Zeros kZeros>
__global__ void __launch_bounds__(kLeanThreads, kCopies == Copies::bulk && kRowTiles == 2 ? 2 : 1)
    lean_wide_kernel(const __grid_constant__ LeanMatmul op, const StepView step) {
  if constexpr (has_copies(kCopies)) run<kCopies, kRowTiles, kZeros>(op, step);
}

template <Copies kCopies, uint32_t kRowTiles, Zeros kZeros>
void launch(const LeanMatmul& op, const StepView& step, cudaStream_t stream) {
  const WideSharedLayout room = wide_shared_layout(
      kCopies, small_block_bytes(kZeros), slice_blocks(op.shares) * kRowTiles * 8, head_floats(op));
  run_kernel_in(lean_wide_kernel<kCopies, kRowTiles, kZeros>,
                {thread_blocks_of(op.shares), kLeanThreads, room.end, op.start, stream}, op, step);
}

}  // namespace

void lean_wide(const LeanMatmul& op, const StepView& step, cudaStream_t stream) {
  with_copies(op.copies, [&]<Copies kCopies>() {
    with_zeros(op.part[0].layout, [&]<Zeros kZeros>() {
      switch (wide_rows(op.rows)) {
        case 16:
          return launch<kCopies, 2, kZeros>(op, step, stream);
        case 32:
          return launch<kCopies, 4, kZeros>(op, step, stream);
        default:
          return launch<kCopies, 8, kZeros>(op, step, stream);
      }
    });
  });
}

}  // namespace ropewalk::cuda::gptq
