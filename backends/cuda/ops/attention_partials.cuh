// attention_partials.cuh — partial results of attention. The keys of a row are divided into runs; a
// run leaves its weighted values, its max score and its sum of weights, by which runs are combined.
//
// Weights are powers of two: the scale of the scores includes log2(e).
#pragma once

#include "backends/cuda/gptq/lean/x.cuh"
#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda {

inline constexpr float kNoScore = -3.0e38f;  // below every score; finite, so exp2f gives 0
inline constexpr float kLog2E = 1.44269504f;
inline constexpr uint32_t kAttentionWarps = 4;

// The keys [first, end) that row r sees.
struct KeysOfRow {
  uint32_t first, end;

  __device__ __forceinline__ uint32_t count() const { return end - first; }
};
__device__ __forceinline__ uint32_t first_key_of(const Attention& op, uint32_t position) {
  const uint32_t window = op.params.window;
  return window != 0 && position >= window ? position - window + 1 : 0;
}
__device__ __forceinline__ KeysOfRow keys_of_row(const Attention& op, const StepView& step,
                                                 uint32_t r) {
  return {first_key_of(op, step.position[r]), step.position[r] + 1};
}

// A score that includes log2(e), after the soft cap.
__device__ __forceinline__ float capped(const Attention& op, float score) {
  if (op.params.soft_cap == 0.0f) return score;
  const float cap = op.params.soft_cap * kLog2E;
  return cap * tanhf(score / cap);
}

// Keys of a run. With a short context some of the launched runs have no keys.
__device__ __forceinline__ uint32_t keys_of_run(const Attention& op, uint32_t keys) {
  return max((keys + op.splits - 1) / op.splits, op.min_keys);
}

__device__ __forceinline__ uint32_t runs_of(const Attention& op, const KeysOfRow& keys) {
  const uint32_t each = keys_of_run(op, keys.count());
  return (keys.count() + each - 1) / each;
}

// The first row that a kernel for single rows takes; its grid starts there.
__device__ __forceinline__ uint32_t first_row_of(const Attention& op, const StepView& step) {
  return op.after_prompts ? prompt_rows_of(step) : 0;
}

// Where a run's partial result lies; `index` is the row's index in the grid.
__device__ __forceinline__ float* partial_at(const Attention& op, uint32_t index, uint32_t head,
                                             uint32_t split) {
  return op.partials +
         ((uint64_t{index} * op.heads + head) * op.splits + split) * (op.keys.head_dim + 2);
}

// The partial results of the warps of a thread block, for kHeads heads.
template <uint32_t kHeads, uint32_t kDim>
struct WarpPartials {
  float max[kAttentionWarps][kHeads], sum[kAttentionWarps][kHeads];
  float values[kAttentionWarps][kHeads][kDim];
};

// Combines the warps' partial results in order into that of row blockIdx.y and run blockIdx.z.
template <uint32_t kHeads, uint32_t kDim>
__device__ void join_warps(const Attention& op, const WarpPartials<kHeads, kDim>& warps,
                           uint32_t first_head) {
  const uint32_t d = op.keys.head_dim;
  for (uint32_t h = 0; h < kHeads; ++h) {
    // max and sum over the warps
    float max = kNoScore, sum = 0.0f;
    for (uint32_t w = 0; w < kAttentionWarps; ++w) max = fmaxf(max, warps.max[w][h]);
    for (uint32_t w = 0; w < kAttentionWarps; ++w)
      sum += warps.sum[w][h] * exp2f(warps.max[w][h] - max);
    // values, scaled to the common max
    float* partial = partial_at(op, blockIdx.y, first_head + h, blockIdx.z);
    for (uint32_t i = threadIdx.x; i < d; i += blockDim.x) {
      float value = 0.0f;
      for (uint32_t w = 0; w < kAttentionWarps; ++w)
        value += warps.values[w][h][i] * exp2f(warps.max[w][h] - max);
      partial[i] = value;
    }
    if (threadIdx.x == 0) {
      partial[d] = max;
      partial[d + 1] = sum;
    }
  }
}

// Element i of all heads, from the partial results of row `index` of the grid. Other
// multiprocessors may have written them, so the loads bypass L1.
__device__ __forceinline__ float combined(const Attention& op, uint32_t runs, uint32_t index,
                                          uint32_t i) {
  const uint32_t d = op.keys.head_dim;
  const float* partials = partial_at(op, index, i / d, 0);
  // max over the runs
  float max = kNoScore;
  for (uint32_t s = 0; s < runs; ++s) max = fmaxf(max, __ldcg(partials + s * (d + 2) + d));
  // sum of weights and of weighted values
  float sum = 0.0f, value = 0.0f;
  for (uint32_t s = 0; s < runs; ++s) {
    const float* partial = partials + s * (d + 2);
    const float weight = exp2f(__ldcg(partial + d) - max);
    sum += __ldcg(partial + d + 1) * weight;
    value += __ldcg(partial + i % d) * weight;
  }
  return value / sum;
}

// Element i of row r of the result.
__device__ __forceinline__ void store_y(const Attention& op, uint32_t r, uint32_t i, float value) {
  const uint64_t at = uint64_t{r} * op.heads * op.keys.head_dim + i;
  if (op.halves)
    reinterpret_cast<__half*>(op.y)[at] = __float2half(value * (1.0f / kHalfYScale));
  else
    op.y[at] = value;
}

// Called once the thread block has stored its partial results of kHeads heads of row r. The last of
// the row's thread blocks combines them for its heads, in the order of the runs.
template <uint32_t kHeads>
__device__ void combine_if_last(const Attention& op, uint32_t r, uint32_t runs,
                                uint32_t first_head) {
  __shared__ bool last;
  if (!op.counters) return;
  uint32_t* counter = op.counters + blockIdx.y * gridDim.x + blockIdx.x;
  __syncthreads();
  if (threadIdx.x == 0) last = add_acq_rel(counter, 1) == runs - 1;
  __syncthreads();
  if (!last) return;
  const uint32_t d = op.keys.head_dim, first = first_head * d, end = first + kHeads * d;
  // whole warps, each with a block of K of the next product
  for (uint32_t i = first + threadIdx.x; i - threadIdx.x % 32 < end; i += blockDim.x) {
    const float value = i < end ? combined(op, runs, blockIdx.y, i) : 0.0f;
    if (i < end) store_y(op, r, i, value);
    if (op.prepared.x_f16) gptq::prepare_block(op.prepared, i / 32, r, value);
  }
  if (threadIdx.x == 0) *counter = 0;
}

}  // namespace ropewalk::cuda
