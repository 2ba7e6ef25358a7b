// lean/room.h — what a thread block of gptq/lean/matmul.cu keeps in shared memory, as functions
// that the launch, the kernel and the host's tests share.
//
//   | ring: warp 0: stage 0, stage 1, .. | warp 1: .. |     a stage: kChunk blocks of the weight
//   | x of the slice (block, row, 32) f16 |
//   | starts (block, row) 8 bytes each |
//   | factors (block, row) f32, then heads (warp, head_dim) f32 in the same place |
//   | barriers (warp, stage) | largest scale (warp, row) f32 |
//
// On an H200 two kernels' thread blocks share a multiprocessor, so that the next one's ring fills
// while this one ends: kMostSharedBytes is half of its 228 KiB, less the 1 KiB each that CUDA
// takes. 8 warps with 3.5 stages of 4 blocks on the way are 66 KB: 4.3 TB/s times 1.2 us of latency
// under load are 39 KB a multiprocessor.
#pragma once

#include <algorithm>

#include "backends/cuda/gptq/lean/shares.h"
#include "backends/cuda/kernel/async.cuh"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kChunk = 4;
inline constexpr uint32_t kMostSharedBytes = 113 << 10;
inline constexpr uint32_t kMostBlockBytes = 592;
// Of (block, row) in a slice: 2 for each thread.
inline constexpr uint32_t kMostPairs = 2 * kLeanThreads;

RW_HOST_DEVICE constexpr uint32_t stages_of(Copies copies) {
  return copies == Copies::bulk ? 4 : copies == Copies::sixteens ? 3 : 0;
}

// Of a thread block, on average: the stage in use is half gone. Without a ring a warp's chunk.
RW_HOST_DEVICE constexpr uint32_t bytes_on_the_way(Copies copies, uint32_t block_bytes) {
  const uint32_t half_stages = stages_of(copies) == 0 ? 2 : 2 * stages_of(copies) - 1;
  return kLeanWarps * half_stages * kChunk * block_bytes / 2;
}

struct LeanRoom {
  uint32_t x, starts, factors, barriers, largest, end;  // bytes from its begin
};
// For `pairs` of (block, row) and blocks of `block_bytes`; head_floats: of a warp, 0 where no head
// is finished.
RW_HOST_DEVICE constexpr LeanRoom lean_room(Copies copies, uint32_t block_bytes, uint32_t pairs,
                                            uint32_t head_floats) {
  LeanRoom room{};
  room.x = kLeanWarps * stages_of(copies) * kChunk * block_bytes;
  room.starts = room.x + pairs * kBlockRows * 2;
  room.factors = room.starts + pairs * 8;
  const uint32_t factors = pairs * 4, heads = kLeanWarps * head_floats * 4;
  room.barriers = room.factors + (factors > heads ? factors : heads) / 8 * 8 + 8;
  room.largest = room.barriers + kLeanWarps * stages_of(copies) * 8;
  room.end = room.largest + kLeanWarps * 8 * 4;
  return room;
}

// Pairs that fit.
inline uint32_t most_pairs(Copies copies, uint32_t head_floats, uint32_t shared_bytes) {
  const uint32_t limit = std::min(shared_bytes, kMostSharedBytes);
  uint32_t pairs = kMostPairs;
  while (pairs > 8 && lean_room(copies, kMostBlockBytes, pairs, head_floats).end > limit)
    pairs -= 8;
  return pairs;
}

}  // namespace ropewalk::cuda::gptq
