// shared.cuh — the shared memory of a thread block of gptq/matmul.cu or gptq/matmul_wide.cu.
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

// For up to 8 rows. Each warp stages its own part of x, `kBlocks` blocks of K, so that the warps
// only synchronise at the end. The pitch of rows is 64 bytes more than a multiple of 128, so that
// the 8 lanes of a quarter warp read from different banks.
struct FewRowsShared {
  static constexpr uint32_t kRows = 8, kBlocks = 8;
  static constexpr uint32_t kPitch = (kBlocks + 1) * kBlockRows;
  static_assert(kPitch * 2 % 128 == 64);
  union {
    alignas(16) __half x[kWarps][kRows * kPitch];
    float sums[kWarps * kRows * kTileColumns];  // after the last read of x
    float head[kWarps][kMaxHeadDim];            // after the sums are in memory
  };
  float scale[kWarps][kRows];
  bool last[1];
};

// For more rows. The warps have a column tile each and share two stages of x, filled alternately.
template <uint32_t kRowTiles>
struct ManyRowsShared {
  static constexpr uint32_t kRows = 8 * kRowTiles;
  // Per multiprocessor: as many as the registers of the sums allow.
  static constexpr uint32_t kThreadBlocks = kRowTiles == 8 ? 2 : 3;
  union {
    alignas(16) __half x[2][kRows * kStageElements];
    float head[kWarps][kMaxHeadDim];  // after the last read of x
  };
  bool last[kWideTiles];
};
static_assert(kWideTiles == kWarps);

}  // namespace ropewalk::cuda::gptq
