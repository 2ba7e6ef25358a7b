// shared.cuh — what a thread block of gptq/matmul.cu keeps in shared memory.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/ops/ops.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kWarps = 4;
inline constexpr uint32_t kThreads = kWarps * 32;

// Each warp has a stretch of x of its own, `kBlocks` blocks of K, so that the four of them meet at
// the end alone. Rows are 64 bytes more than a multiple of 128 apart, so that the 8 lanes of a
// quarter warp read from different banks.
template <uint32_t kRowTiles>
struct Shared {
  static constexpr uint32_t kRows = 8 * kRowTiles;
  static constexpr uint32_t kBlocks = kRowTiles == 1 ? 8 : kRowTiles == 4 ? 2 : 1;
  static constexpr uint32_t kPitch = (kBlocks + 1 - kBlocks % 2) * kBlockRows;
  static_assert(kPitch * 2 % 128 == 64 && kPitch >= kBlocks * kBlockRows);
  union {
    alignas(16) __half x[kWarps][kRows * kPitch];
    float sums[kWarps * kRows * kTileColumns];  // once x has been read for the last time
    float head[kWarps][kMostHeadDim];           // once the sums are in memory
  };
  float scale[kWarps][kRows];
  bool last;
};

}  // namespace ropewalk::cuda::gptq
