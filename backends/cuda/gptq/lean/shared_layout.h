// lean/shared_layout.h — the shared memory of a thread block of gptq/lean/matmul.cu and of
// gptq/lean/wide.cu, as functions that the launch, the kernel and the host's tests share.
//
//   | ring: warp 0: stage 0, stage 1, .. | warp 1: .. |     a stage: kChunk blocks of the weight
//   | x of the slice (block, row, 32) f16 |
//   | starts (block, row) 8 bytes each |
//   | factors (block, row) f32, then heads (warp, head_dim) f32 in the same place |
//   | barriers (warp, stage) | max scale (warp, row) f32 |
//
// A folded x first lies there as one row of f32, from x on and up to the barriers.
//
// On an H200 thread blocks of two kernels share a multiprocessor, so that the next kernel fills its
// rings while this one ends: kMaxSharedBytes is half of the 228 KiB, less 1 KiB that CUDA takes
// from each. 8 warps with 3.5 stages of 4 blocks in flight are 66 KB; 4.3 TB/s times 1.2 us of
// latency under load are 39 KB a multiprocessor.
#pragma once

#include <algorithm>

#include "backends/cuda/gptq/lean/shares.h"
#include "backends/cuda/kernel/async.cuh"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kChunk = 4;
inline constexpr uint32_t kMaxSharedBytes = 113 << 10;
inline constexpr uint32_t kMaxBlockBytes = 592;
// Max pairs (block, row) of a slice: 2 for each thread.
inline constexpr uint32_t kMaxPairs = 2 * kLeanThreads;

RW_HOST_DEVICE constexpr uint32_t stages_of(Copies copies) {
  return copies == Copies::bulk ? 4 : copies == Copies::async_16 ? 3 : 0;
}

// Bytes in flight for a thread block, on average: half of the stage in use has been read. Without a
// ring one chunk for each warp.
RW_HOST_DEVICE constexpr uint32_t bytes_in_flight(Copies copies, uint32_t block_bytes) {
  const uint32_t half_stages = stages_of(copies) == 0 ? 2 : 2 * stages_of(copies) - 1;
  return kLeanWarps * half_stages * kChunk * block_bytes / 2;
}

struct LeanSharedLayout {
  uint32_t x, starts, factors, barriers, max_scale, end;  // offsets in bytes
};
// For `pairs` (block, row) and blocks of `block_bytes`. `head_floats` are those of a warp, 0 where
// no head is finished; `row_floats` those of a folded x, or 0.
RW_HOST_DEVICE constexpr LeanSharedLayout lean_shared_layout(Copies copies, uint32_t block_bytes,
                                                             uint32_t pairs, uint32_t head_floats,
                                                             uint32_t row_floats) {
  LeanSharedLayout layout{};
  layout.x = kLeanWarps * stages_of(copies) * kChunk * block_bytes;
  layout.starts = layout.x + pairs * kBlockRows * 2;
  layout.factors = layout.starts + pairs * 8;
  const uint32_t factors = pairs * 4, heads = kLeanWarps * head_floats * 4;
  const uint32_t end = layout.factors + (factors > heads ? factors : heads);
  const uint32_t row_end = layout.x + row_floats * 4;
  layout.barriers = (end > row_end ? end : row_end) / 8 * 8 + 8;
  layout.max_scale = layout.barriers + kLeanWarps * stages_of(copies) * 8;
  layout.end = layout.max_scale + kLeanWarps * 8 * 4;
  return layout;
}

// From 9 rows on (lean/wide.cu) x is most of it, and a thread block may have all of a
// multiprocessor:
//
//   | ring, as above |
//   | x of the slice (block, row, 32) f16, then heads (warp, head_dim) f32 in the same place |
//   | barriers (warp, stage) | number of finished groups | the groups |
struct WideSharedLayout {
  uint32_t x, barriers, finished, end;  // offsets in bytes
};
// Max groups of tiles that a thread block finishes.
inline constexpr uint32_t kMaxFinished = 255;

RW_HOST_DEVICE constexpr WideSharedLayout wide_shared_layout(Copies copies, uint32_t block_bytes,
                                                             uint32_t pairs, uint32_t head_floats) {
  WideSharedLayout layout{};
  layout.x = kLeanWarps * stages_of(copies) * kChunk * block_bytes;
  const uint32_t x = pairs * kBlockRows * 2, heads = kLeanWarps * head_floats * 4;
  layout.barriers = layout.x + (x > heads ? x : heads);
  layout.finished = layout.barriers + kLeanWarps * stages_of(copies) * 8;
  layout.end = layout.finished + (1 + kMaxFinished) * 4;
  return layout;
}
// The number of blocks of a slice that fits.
inline uint32_t max_wide_blocks(Copies copies, uint32_t rows, uint32_t head_floats,
                                uint32_t shared_bytes) {
  const uint32_t without_x = wide_shared_layout(copies, kMaxBlockBytes, 0, 0).end;
  if (wide_shared_layout(copies, kMaxBlockBytes, 0, head_floats).end > shared_bytes) return 0;
  return (shared_bytes - without_x) / (rows * kBlockRows * 2);
}

// The number of pairs that fits.
inline uint32_t max_pairs(Copies copies, uint32_t head_floats, uint32_t shared_bytes) {
  const uint32_t limit = std::min(shared_bytes, kMaxSharedBytes);
  uint32_t pairs = kMaxPairs;
  while (pairs > 8 && lean_shared_layout(copies, kMaxBlockBytes, pairs, head_floats, 0).end > limit)
    pairs -= 8;
  return pairs;
}

}  // namespace ropewalk::cuda::gptq
