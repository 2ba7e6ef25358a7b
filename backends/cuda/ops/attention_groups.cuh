// attention_groups.cuh — how the kernels of attention for single rows multiply queries with keys
// and weigh values: groups of 2 to 16 lanes, each with a key of its own, 16 bytes a lane, and with
// an online softmax in f32 for each head. Codes of an int8 cache become floats in registers.
#pragma once

#include "backends/cuda/ops/attention_partials.cuh"

namespace ropewalk::cuda {

inline constexpr uint32_t kMaxSplitDim = 128;
inline constexpr uint32_t kAtOnce = 4;  // keys of a group of lanes

// A lane's place in the warp.
struct Group {
  uint32_t lanes;   // lanes of a key, a power of two
  uint32_t count;   // keys that a warp reads at once
  uint32_t number;  // which of them the lane reads
  uint32_t first;   // first element of the head that the lane reads
  bool active;      // false where the head ends before `first`
};

template <uint32_t kElements>
__device__ __forceinline__ Group group_of(uint32_t head_dim) {
  uint32_t lanes = 1;
  while (lanes * kElements < head_dim) lanes *= 2;
  const uint32_t lane = threadIdx.x % 32, first = lane % lanes * kElements;
  return {lanes, 32 / lanes, lane / lanes, first, first < head_dim};
}

// A lane's fragment of an entry of the cache, as stored.
template <abi::DType kType>
struct Loaded {
  uint4 words;
  float scale;
};

// Element i, without the scale.
template <abi::DType kType>
__device__ __forceinline__ float element(const Loaded<kType>& loaded, uint32_t i) {
  const uint32_t words[4] = {loaded.words.x, loaded.words.y, loaded.words.z, loaded.words.w};
  if constexpr (kType == abi::DType::i8)
    return static_cast<float>(static_cast<int8_t>(words[i / 4] >> i % 4 * 8));
  else
    return __half2float(__ushort_as_half(static_cast<uint16_t>(words[i / 2] >> i % 2 * 16)));
}

// The online softmax of one head in a group of lanes.
template <uint32_t kElements>
struct OnlineSoftmax {
  float max = kNoScore, sum = 0.0f;
  float values[kElements] = {};

  __device__ __forceinline__ void scale_to(float new_max) {
    const float keep = exp2f(max - new_max);
    max = new_max;
    sum *= keep;
#pragma unroll
    for (float& value : values) value *= keep;
  }
};

// Joins the groups, in the same order in every lane.
template <uint32_t kElements>
__device__ __forceinline__ void join_groups(const Group& group, OnlineSoftmax<kElements>& softmax) {
  for (uint32_t mask = group.lanes; mask < 32; mask *= 2) {
    softmax.scale_to(fmaxf(softmax.max, __shfl_xor_sync(~0u, softmax.max, mask)));
    softmax.sum += __shfl_xor_sync(~0u, softmax.sum, mask);
#pragma unroll
    for (float& value : softmax.values) value += __shfl_xor_sync(~0u, value, mask);
  }
}

// Adds up to kAtOnce keys of the group to the softmax of each head: of the keys first, first +
// stride, .. those from `begin` on and before `end`.
struct KeysAtOnce {
  uint32_t first, stride, begin, end;

  __device__ __forceinline__ bool has(uint32_t n) const {
    return first + n * stride - begin < end - begin;
  }
};
template <abi::DType kType, uint32_t kHeads, uint32_t kElements>
__device__ __forceinline__ void attend_to(const Attention& op, const Group& group,
                                          const KeysAtOnce& range,
                                          const Loaded<kType> (&k)[kAtOnce],
                                          const Loaded<kType> (&v)[kAtOnce],
                                          const float (&q)[kHeads][kElements],
                                          OnlineSoftmax<kElements> (&softmax)[kHeads]) {
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h) {
    // scores, and their max
    float score[kAtOnce], max = softmax[h].max;
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) {
      score[n] = 0.0f;
#pragma unroll
      for (uint32_t i = 0; i < kElements; ++i) score[n] += q[h][i] * element(k[n], i);
      for (uint32_t mask = group.lanes / 2; mask; mask /= 2)
        score[n] += __shfl_xor_sync(~0u, score[n], mask);
      const bool counts = range.has(n);
      score[n] = counts ? capped(op, score[n] * k[n].scale) : kNoScore;
      max = fmaxf(max, score[n]);
    }
    // weights, and the weighted values
    softmax[h].scale_to(max);
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) {
      const bool counts = range.has(n);
      const float weight = counts ? exp2f(score[n] - max) : 0.0f;
      softmax[h].sum += weight;
      const float scaled = weight * v[n].scale;
#pragma unroll
      for (uint32_t i = 0; i < kElements; ++i)
        softmax[h].values[i] += counts ? scaled * element(v[n], i) : 0.0f;
    }
  }
}

// The lane's elements of the queries of kHeads heads of row r, times the scale of the scores.
template <uint32_t kHeads, uint32_t kElements>
__device__ __forceinline__ void load_queries(const Attention& op, const Group& group, uint32_t r,
                                             uint32_t first_head, float (&q)[kHeads][kElements]) {
  const uint32_t d = op.keys.head_dim;
  const uint64_t first = (uint64_t{r} * op.heads + first_head) * d + group.first;
  const auto load = [&](const auto* from) {
#pragma unroll
    for (uint32_t h = 0; h < kHeads; ++h)
#pragma unroll
      for (uint32_t i = 0; i < kElements; ++i)
        q[h][i] =
            group.active ? to_float(__ldcg(from + h * d + i)) * (op.params.scale * kLog2E) : 0.0f;
  };
  if (op.halves)
    load(reinterpret_cast<const __half*>(op.q) + first);
  else
    load(op.q + first);
}

// Joins the groups of the warps, then the warps, into the partial result of the thread block.
template <uint32_t kHeads, uint32_t kElements>
__device__ __forceinline__ void join_all(const Attention& op, const Group& group,
                                         OnlineSoftmax<kElements> (&softmax)[kHeads],
                                         WarpPartials<kHeads, kMaxSplitDim>& warps,
                                         uint32_t first_head) {
  const uint32_t warp = threadIdx.x / 32;
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h) {
    join_groups(group, softmax[h]);
    if (group.number) continue;
    warps.max[warp][h] = softmax[h].max;
    warps.sum[warp][h] = softmax[h].sum;
#pragma unroll
    for (uint32_t i = 0; i < kElements; ++i)
      if (group.active) warps.values[warp][h][group.first + i] = softmax[h].values[i];
  }
  __syncthreads();
  join_warps(op, warps, first_head);
}

}  // namespace ropewalk::cuda
