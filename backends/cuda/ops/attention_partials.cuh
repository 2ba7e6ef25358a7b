// attention_partials.cuh — runs of keys that are attended to by themselves, and what two of them
// combine by: the weighted values, the greatest score and the sum of weights.
//
// Scores count in powers of two: log2(e) is in their scale.
#pragma once

#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda {

inline constexpr float kNoScore = -3.0e38f;  // below every score; finite, so exp2f gives 0
inline constexpr float kLog2E = 1.44269504f;
inline constexpr uint32_t kAttentionWarps = 4;

// A short context leaves some of the launched runs without keys.
__device__ __forceinline__ uint32_t keys_of_run(const Attention& op, uint32_t keys) {
  return max((keys + op.splits - 1) / op.splits, op.least_keys);
}

// The first row that a kernel for single rows takes; its grid counts from there.
__device__ __forceinline__ uint32_t first_row_of(const Attention& op, const StepView& step) {
  return op.after_prompts ? prompt_rows_of(step) : 0;
}

// `index` is the row's in the grid.
__device__ __forceinline__ float* part_at(const Attention& op, uint32_t index, uint32_t head,
                                          uint32_t split) {
  return op.partials +
         ((uint64_t{index} * op.heads + head) * op.splits + split) * (op.keys.head_dim + 2);
}

// What the warps of a thread block have of kHeads heads.
template <uint32_t kHeads, uint32_t kDim>
struct WarpParts {
  float most[kAttentionWarps][kHeads], sum[kAttentionWarps][kHeads];
  float values[kAttentionWarps][kHeads][kDim];
};

// The warps' parts in order, as the part of row blockIdx.y of the grid and run blockIdx.z.
template <uint32_t kHeads, uint32_t kDim>
__device__ void join_warps(const Attention& op, const WarpParts<kHeads, kDim>& warps,
                           uint32_t first_head) {
  const uint32_t d = op.keys.head_dim;
  for (uint32_t h = 0; h < kHeads; ++h) {
    float most = kNoScore, sum = 0.0f;
    for (uint32_t w = 0; w < kAttentionWarps; ++w) most = fmaxf(most, warps.most[w][h]);
    for (uint32_t w = 0; w < kAttentionWarps; ++w)
      sum += warps.sum[w][h] * exp2f(warps.most[w][h] - most);
    float* part = part_at(op, blockIdx.y, first_head + h, blockIdx.z);
    for (uint32_t i = threadIdx.x; i < d; i += blockDim.x) {
      float value = 0.0f;
      for (uint32_t w = 0; w < kAttentionWarps; ++w)
        value += warps.values[w][h][i] * exp2f(warps.most[w][h] - most);
      part[i] = value;
    }
    if (threadIdx.x == 0) {
      part[d] = most;
      part[d + 1] = sum;
    }
  }
}

}  // namespace ropewalk::cuda
