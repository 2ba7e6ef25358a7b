// shared.cuh — what a thread block of gptq/matmul.cu or gptq/matmul_wide.cu keeps in shared memory.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "backends/cuda/gptq/division.h"
#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/stage.h"
#include "backends/cuda/ops/ops.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kWarps = 4;
inline constexpr uint32_t kThreads = kWarps * 32;

// Few rows. Each warp has a stretch of x of its own, `kBlocks` blocks of K, so that the four of
// them meet at the end alone. Rows are 64 bytes more than a multiple of 128 apart, so that the 8
// lanes of a quarter warp read from different banks.
struct Stretches {
  static constexpr uint32_t kRows = 8, kBlocks = 8;
  static constexpr uint32_t kPitch = (kBlocks + 1) * kBlockRows;
  static_assert(kPitch * 2 % 128 == 64);
  union {
    alignas(16) __half x[kWarps][kRows * kPitch];
    float sums[kWarps * kRows * kTileColumns];  // once x has been read for the last time
    float head[kWarps][kMostHeadDim];           // once the sums are in memory
  };
  float scale[kWarps][kRows];
  bool last[1];
};

// More rows: the warps, a column tile each, share two stages of x that are filled in turn.
template <uint32_t kRowTiles>
struct Stages {
  static constexpr uint32_t kRows = 8 * kRowTiles;
  // Of a multiprocessor: what the registers of the sums leave.
  static constexpr uint32_t kThreadBlocks = kRowTiles == 8 ? 2 : 3;
  union {
    alignas(16) __half x[2][kRows * kStageHalves];
    float head[kWarps][kMostHeadDim];  // once x has been read for the last time
  };
  bool last[kWideTiles];
};
static_assert(kWideTiles == kWarps);

}  // namespace ropewalk::cuda::gptq
