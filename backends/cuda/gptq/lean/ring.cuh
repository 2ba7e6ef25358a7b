// lean/ring.cuh — a warp's share of a weight in chunks of up to kChunk blocks of K, each of one
// tile. Several chunks are in flight while one is multiplied.
//
//   stage    0        1           2           3
//          | in use | in flight | in flight | in flight |     release() requests the next chunk
//
// Chunks behind those in flight are requested into the second-level cache. Where a kernel starts
// early, memory so has work until the kernel in front has ended and x is there; then the ring reads
// from the cache, faster than memory delivers. The next kernel may start when the last chunk has
// been requested: its requests come behind, in the time in which this kernel ends. Earlier it would
// request them too soon, and nothing would be left for that time.
//
// With bulk copies one lane requests a chunk, and the barrier of the stage tells all lanes when it
// has arrived. With copies of 16 bytes every lane requests its part and waits for it. Without
// either the lanes read global memory directly.
#pragma once

#include "backends/cuda/gptq/lean/shared_layout.h"
#include "backends/cuda/kernel/async.cuh"

namespace ropewalk::cuda::gptq {

// Iterates over the chunks of a share of a slice. tile_at(tile) is the address of the slice's first
// block of a tile.
template <uint32_t kBlockBytes, class TileAt>
class Chunks {
 public:
  __device__ __forceinline__ Chunks(const Share& share, uint32_t slice_blocks,
                                    const TileAt& tile_at)
      : tile_at_(&tile_at), slice_blocks_(slice_blocks), to_come_(share.count) {
    if (to_come_ == 0) return;
    tile_ = share.begin / slice_blocks;
    const uint32_t first = share.begin - tile_ * slice_blocks;
    at_ = (*tile_at_)(tile_) + first * kBlockBytes;
    of_tile_ = min(slice_blocks - first, to_come_);
  }

  // Number of blocks of the next chunk, 0 after the last, and its address.
  __device__ __forceinline__ uint32_t blocks() const { return min(of_tile_, kChunk); }
  __device__ __forceinline__ const std::byte* at() const { return at_; }

  __device__ __forceinline__ void end() { of_tile_ = to_come_ = 0; }

  __device__ __forceinline__ void next() {
    const uint32_t count = blocks();
    at_ += count * kBlockBytes;
    of_tile_ -= count;
    to_come_ -= count;
    if (of_tile_ != 0 || to_come_ == 0) return;
    at_ = (*tile_at_)(++tile_);
    of_tile_ = min(slice_blocks_, to_come_);
  }

 private:
  const TileAt* tile_at_;
  const std::byte* at_ = nullptr;
  uint32_t slice_blocks_, tile_ = 0, of_tile_ = 0, to_come_;
};

template <Copies kCopies, uint32_t kBlockBytes, class TileAt>
class Ring {
 public:
  // Requests the first chunks, and `ahead` chunks behind them into the second-level cache.
  // REQUIRES: all lanes of the warp; `memory` belongs to the warp.
  __device__ __forceinline__ Ring(std::byte* memory, Barrier* barriers,
                                  const Chunks<kBlockBytes, TileAt>& chunks, uint32_t ahead)
      : memory_(memory), barriers_(barriers), chunks_(chunks), later_(chunks) {
    if constexpr (kCopies == Copies::bulk) {
      if (lane() == 0) {
        for (uint32_t s = 0; s < kStages; ++s) begin_barrier(barriers_[s], 1);
        fence_barriers();
      }
      __syncwarp();
    }
    if constexpr (kCopies != Copies::none)
      for (uint32_t s = 0; s < kStages; ++s) request(s);
    if constexpr (kCopies == Copies::bulk) {
      later_ = chunks_;
      if (ahead == 0) later_.end();
      for (uint32_t n = 0; n < ahead; ++n) prefetch();
    }
  }

  // Waits for the oldest chunk, for all lanes.
  __device__ __forceinline__ const std::byte* wait() {
    if constexpr (kCopies == Copies::none) {
      return chunks_.at();
    } else {
      if constexpr (kCopies == Copies::bulk) {
        wait_for(barriers_[stage_], parity_);
      } else {
        wait_for_groups<kStages - 1>();
        __syncwarp();
      }
      return memory_ + stage_ * kStageBytes;
    }
  }

  // Call when no lane reads the chunk any more. Requests the next chunk into its stage.
  __device__ __forceinline__ void release() {
    if constexpr (kCopies == Copies::none) {
      chunks_.next();
    } else {
      __syncwarp();
      request(stage_);
      if constexpr (kCopies == Copies::bulk) prefetch();
      if (++stage_ == kStages) {
        stage_ = 0;
        parity_ ^= 1;
      }
    }
  }

 private:
  static constexpr uint32_t kStages = stages_of(kCopies), kStageBytes = kChunk * kBlockBytes;

  static __device__ __forceinline__ uint32_t lane() { return threadIdx.x % kLanes; }

  __device__ __forceinline__ void request(uint32_t stage) {
    const uint32_t bytes = chunks_.blocks() * kBlockBytes;
    std::byte* to = memory_ + stage * kStageBytes;
    if constexpr (kCopies == Copies::bulk) {
      if (bytes != 0 && lane() == 0) copy_bulk(to, chunks_.at(), bytes, barriers_[stage]);
    } else {
#pragma unroll
      for (uint32_t n = 0; n < divide_up(kStageBytes, kLanes * 16); ++n)
        if (const uint32_t at = (n * kLanes + lane()) * 16; at < bytes)
          start_copy_16(to + at, chunks_.at() + at);
      commit_copies();
    }
    chunks_.next();
    if (kCopies == Copies::bulk && chunks_.blocks() == 0) let_next_kernel_start();
  }

  __device__ __forceinline__ void prefetch() {
    if (later_.blocks() == 0) return;
    if (lane() == 0) prefetch_bulk(later_.at(), later_.blocks() * kBlockBytes);
    later_.next();
  }

  std::byte* memory_;
  Barrier* barriers_;
  Chunks<kBlockBytes, TileAt> chunks_, later_;  // to be copied; to be requested into the cache
  uint32_t stage_ = 0, parity_ = 0;
};

}  // namespace ropewalk::cuda::gptq
