// stage.h — where x lies in shared memory while gptq/matmul_wide.cu multiplies it, and where the
// sums of the tensor cores belong, as functions of indices alone.
//
// A stage is 4 blocks of K of up to 64 rows as f16, 256 bytes a row in 16 chunks of 16 bytes. Each
// chunk comes by one copy and goes by one load of 16 bytes. The 8 lanes of a quarter warp load at
// once, 4 neighbouring chunks of two neighbouring rows: without more they would meet in half of the
// banks, so odd rows have their chunks' halves of 128 bytes turned round.
//
//   row 0 | b0 b0 b0 b0 b1 b1 b1 b1 | b2 b2 b2 b2 b3 b3 b3 b3 |    b: the chunk's block of K
//   row 1 | b1 b1 b1 b1 b0 b0 b0 b0 | b3 b3 b3 b3 b2 b2 b2 b2 |
#pragma once

#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kStageBlocks = 4;
inline constexpr uint32_t kStageHalves = kStageBlocks * kBlockRows;  // of a row
inline constexpr uint32_t kChunkHalves = 8;
inline constexpr uint32_t kRowChunks = kStageHalves / kChunkHalves;
static_assert(kChunkHalves == kLaneRows);

// Halves from the stage's begin.
RW_HOST_DEVICE uint32_t stage_at(uint32_t row, uint32_t chunk) {
  return row * kStageHalves + (chunk ^ (row % 2 * 4)) * kChunkHalves;
}
// The chunk that is a lane's share of a block.
RW_HOST_DEVICE uint32_t chunk_of(uint32_t block, uint32_t lane) {
  return block * (kBlockRows / kChunkHalves) + lane % 4;
}
// The row of a tile of 8 whose share a lane loads.
RW_HOST_DEVICE uint32_t share_row(uint32_t lane) { return lane / 4; }

// Which chunk of which row a thread copies as its n-th.
struct Chunk {
  uint32_t row, chunk;
};
RW_HOST_DEVICE Chunk copied_chunk(uint32_t threads, uint32_t thread, uint32_t n) {
  const uint32_t i = n * threads + thread;
  return {i / kRowChunks, i % kRowChunks};
}

// Sum i of the fragment that the tensor cores leave with a lane for its columns 2p and 2p + 1: the
// row of a tile of 8, the column of a tile of 32.
RW_HOST_DEVICE uint32_t sum_row(uint32_t lane, uint32_t i) { return lane % 4 * 2 + i % 2; }
RW_HOST_DEVICE uint32_t sum_column(uint32_t lane, uint32_t p, uint32_t i) {
  return column_of(lane, 2 * p + i / 2);
}

}  // namespace ropewalk::cuda::gptq
