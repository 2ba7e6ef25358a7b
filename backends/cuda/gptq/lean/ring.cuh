// lean/ring.cuh — a warp's share of a weight as it comes: chunks of up to kChunk blocks of K, of
// one tile each, several of them on their way while one is multiplied.
//
//   stage    0        1        2        3
//          | in use | coming | coming | coming |     release() asks for the chunk after the last
//
// By bulk copies one lane asks for a chunk and a barrier a stage tells all lanes that it is there;
// by copies of 16 bytes every lane asks for its own and waits for them; without either the lanes
// read global memory itself.
#pragma once

#include "backends/cuda/gptq/lean/room.h"
#include "backends/cuda/kernel/async.cuh"

namespace ropewalk::cuda::gptq {

// Where a share's chunks lie: the blocks from `begin` on of a slice whose tiles follow one another.
// tile_at(tile) is where the slice's blocks of a tile begin.
template <uint32_t kBlockBytes, class TileAt>
class Chunks {
 public:
  __device__ __forceinline__ Chunks(const Share& share, uint32_t slice_blocks,
                                    const TileAt& tile_at)
      : tile_at_(tile_at), slice_blocks_(slice_blocks), to_come_(share.count) {
    if (to_come_ == 0) return;
    tile_ = share.begin / slice_blocks;
    const uint32_t first = share.begin - tile_ * slice_blocks;
    at_ = tile_at_(tile_) + first * kBlockBytes;
    of_tile_ = min(slice_blocks - first, to_come_);
  }

  // Blocks of the next chunk, 0 after the last, and where it lies.
  __device__ __forceinline__ uint32_t blocks() const { return min(of_tile_, kChunk); }
  __device__ __forceinline__ const std::byte* at() const { return at_; }

  __device__ __forceinline__ void next() {
    const uint32_t count = blocks();
    at_ += count * kBlockBytes;
    of_tile_ -= count;
    to_come_ -= count;
    if (of_tile_ != 0 || to_come_ == 0) return;
    at_ = tile_at_(++tile_);
    of_tile_ = min(slice_blocks_, to_come_);
  }

 private:
  const TileAt& tile_at_;
  const std::byte* at_ = nullptr;
  uint32_t slice_blocks_, tile_ = 0, of_tile_ = 0, to_come_;
};

template <Copies kCopies, uint32_t kBlockBytes, class TileAt>
class Ring {
 public:
  // Asks for the first chunks. REQUIRES: all lanes of the warp; `room` is the warp's.
  __device__ __forceinline__ Ring(std::byte* room, Barrier* barriers,
                                  const Chunks<kBlockBytes, TileAt>& chunks)
      : room_(room), barriers_(barriers), chunks_(chunks) {
    if constexpr (kCopies == Copies::bulk) {
      if (lane() == 0) {
        for (uint32_t s = 0; s < kStages; ++s) begin_barrier(barriers_[s], 1);
        fence_barriers();
      }
      __syncwarp();
    }
    if constexpr (kCopies != Copies::none)
      for (uint32_t s = 0; s < kStages; ++s) ask(s);
  }

  // The chunk that came first, for all lanes.
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
      return room_ + stage_ * kStageBytes;
    }
  }

  // Once no lane reads the chunk any more: asks for another in its place.
  __device__ __forceinline__ void release() {
    if constexpr (kCopies == Copies::none) {
      chunks_.next();
    } else {
      __syncwarp();
      ask(stage_);
      if (++stage_ == kStages) {
        stage_ = 0;
        parity_ ^= 1;
      }
    }
  }

 private:
  static constexpr uint32_t kStages = stages_of(kCopies), kStageBytes = kChunk * kBlockBytes;

  static __device__ __forceinline__ uint32_t lane() { return threadIdx.x % kLanes; }

  __device__ __forceinline__ void ask(uint32_t stage) {
    const uint32_t bytes = chunks_.blocks() * kBlockBytes;
    std::byte* to = room_ + stage * kStageBytes;
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
  }

  std::byte* room_;
  Barrier* barriers_;
  Chunks<kBlockBytes, TileAt> chunks_;
  uint32_t stage_ = 0, parity_ = 0;
};

}  // namespace ropewalk::cuda::gptq
