// stage.h — where x lies in shared memory while gptq/matmul_wide.cu multiplies it, and which row
// and column a sum of the tensor cores belongs to, as functions of indices.
//
// A stage is 4 blocks of K of up to 64 rows as f16: 256 bytes a row, in 16 chunks of 16 bytes. Each
// chunk is written by one copy and read by one load of 16 bytes. The 8 lanes of a quarter warp load
// together: 4 neighbouring chunks of two neighbouring rows, which would use only half of the banks.
// So odd rows swap the first and the second block of each 128 bytes.
//
//   row 0 | b0 b0 b0 b0 b1 b1 b1 b1 | b2 b2 b2 b2 b3 b3 b3 b3 |    b: the chunk's block of K
//   row 1 | b1 b1 b1 b1 b0 b0 b0 b0 | b3 b3 b3 b3 b2 b2 b2 b2 |
#pragma once

#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kStageBlocks = 4;
inline constexpr uint32_t kStageElements = kStageBlocks * kBlockRows;  // of a row
inline constexpr uint32_t kChunkElements = 8;
inline constexpr uint32_t kRowChunks = kStageElements / kChunkElements;
static_assert(kChunkElements == kLaneRows);

// Offset in elements from the start of the stage.
RW_HOST_DEVICE uint32_t stage_at(uint32_t row, uint32_t chunk) {
  return row * kStageElements + (chunk ^ (row % 2 * 4)) * kChunkElements;
}
// The chunk that is a lane's fragment of a block.
RW_HOST_DEVICE uint32_t chunk_of(uint32_t block, uint32_t lane) {
  return block * (kBlockRows / kChunkElements) + lane % 4;
}
// The row of a tile of 8 that a lane loads its fragment from.
RW_HOST_DEVICE uint32_t fragment_row(uint32_t lane) { return lane / 4; }

// The row and the chunk of a thread's n-th copy.
struct Chunk {
  uint32_t row, chunk;
};
RW_HOST_DEVICE Chunk copied_chunk(uint32_t threads, uint32_t thread, uint32_t n) {
  const uint32_t i = n * threads + thread;
  return {i / kRowChunks, i % kRowChunks};
}

// Row (of a tile of 8) and column (of a tile of 32) of sum i in a lane's fragment of the result for
// its columns 2p and 2p + 1.
RW_HOST_DEVICE uint32_t sum_row(uint32_t lane, uint32_t i) { return lane % 4 * 2 + i % 2; }
RW_HOST_DEVICE uint32_t sum_column(uint32_t lane, uint32_t p, uint32_t i) {
  return column_of(lane, 2 * p + i / 2);
}

}  // namespace ropewalk::cuda::gptq
