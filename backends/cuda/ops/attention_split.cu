// Decoding: o = softmax(q . k[j] scale) v[j] over a run of the keys of a row, for 1, 2 or 4 heads
// that read the same keys and values. Grid (heads / that number, rows, runs), 4 warps. Another
// kernel combines the runs in order. Bottleneck: memory, keys and values.
//
// A lane loads 16 bytes of a key at once, so a group of 2 to 16 lanes reads a key and a warp reads
// several keys; each group has 4 keys in flight. Codes of an int8 cache become floats in registers.
// Each group has an online softmax of its own in f32; they are joined at the end.
#include "backends/cuda/ops/attention_partials.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kMaxDim = 128;
constexpr uint32_t kAtOnce = 4;  // keys of a group of lanes

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

template <abi::DType kType>
__device__ __forceinline__ Loaded<kType> load(const Cache& cache, const StepView& step,
                                              const Group& group, uint32_t sequence, uint32_t head,
                                              uint32_t position) {
  const Entry entry = entry_at(cache, step, sequence, head, position);
  constexpr uint32_t kBytes = kType == abi::DType::i8 ? 1 : 2;
  Loaded<kType> loaded{{0, 0, 0, 0}, 1.0f};
  if (group.active)
    loaded.words = *reinterpret_cast<const uint4*>(entry.elements + group.first * kBytes);
  if constexpr (kType == abi::DType::i8) loaded.scale = __half2float(*entry.scale);
  return loaded;
}

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

// The keys first, first + stride, .. below end that the group reads; kAtOnce of them at a time.
struct KeyRange {
  uint32_t sequence, head, first, stride, end;
};

template <abi::DType kType, uint32_t kHeads, uint32_t kElements>
__device__ __forceinline__ void attend(const Attention& op, const StepView& step,
                                       const Group& group, const KeyRange& range,
                                       const float (&q)[kHeads][kElements],
                                       OnlineSoftmax<kElements> (&softmax)[kHeads]) {
  // load the keys and values
  Loaded<kType> k[kAtOnce], v[kAtOnce];
#pragma unroll
  for (uint32_t n = 0; n < kAtOnce; ++n) {
    // Beyond the end load the last key again; it is not counted below.
    const uint32_t j = min(range.first + n * range.stride, range.end - 1);
    k[n] = load<kType>(op.keys, step, group, range.sequence, range.head, j);
    v[n] = load<kType>(op.values, step, group, range.sequence, range.head, j);
  }
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
      const bool counts = range.first + n * range.stride < range.end;
      score[n] = counts ? capped(op, score[n] * k[n].scale) : kNoScore;
      max = fmaxf(max, score[n]);
    }
    // weights, and the weighted values
    softmax[h].scale_to(max);
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) {
      const bool counts = range.first + n * range.stride < range.end;
      const float weight = counts ? exp2f(score[n] - max) : 0.0f;
      softmax[h].sum += weight;
      const float scaled = weight * v[n].scale;
#pragma unroll
      for (uint32_t i = 0; i < kElements; ++i)
        softmax[h].values[i] += counts ? scaled * element(v[n], i) : 0.0f;
    }
  }
}

template <abi::DType kType, uint32_t kHeads>
__global__ void __launch_bounds__(kAttentionWarps * 32)
    attention_split_kernel(const Attention op, const StepView step) {
  constexpr uint32_t kElements = kType == abi::DType::i8 ? 16 : 8;
  __shared__ WarpPartials<kHeads, kMaxDim> warps;
  const uint32_t r = first_row_of(op, step) + blockIdx.y, first_head = blockIdx.x * kHeads;
  if (r >= rows_of(step, Extent::rows)) return;
  const KeysOfRow keys = keys_of_row(op, step, r);
  const uint32_t each = keys_of_run(op, keys.count());
  const uint32_t begin = keys.first + blockIdx.z * each, end = min(begin + each, keys.end);
  if (begin >= keys.end) return;
  const uint32_t d = op.keys.head_dim, warp = threadIdx.x / 32;
  const Group group = group_of<kElements>(d);

  // load the queries
  float q[kHeads][kElements];
  OnlineSoftmax<kElements> softmax[kHeads];
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h)
#pragma unroll
    for (uint32_t i = 0; i < kElements; ++i)
      q[h][i] = group.active
                    ? op.q[(uint64_t{r} * op.heads + first_head + h) * d + group.first + i] *
                          (op.params.scale * kLog2E)
                    : 0.0f;

  KeyRange range{step.sequence[r], first_head / (op.heads / op.keys.kv_heads), 0,
                 kAttentionWarps * group.count, end};
  // All lanes of a warp take the same number of rounds.
  for (uint32_t j = begin + warp * group.count; j < end; j += range.stride * kAtOnce) {
    range.first = j + group.number;
    attend<kType, kHeads, kElements>(op, step, group, range, q, softmax);
  }

  // combine the groups, then the warps
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

template <abi::DType kType, uint32_t kHeads>
void launch_as(const Attention& op, const Launch& launch) {
  const dim3 grid(op.heads / kHeads, launch.rows, op.splits);
  run_kernel(attention_split_kernel<kType, kHeads>, grid, kAttentionWarps * 32, launch.stream, op,
             launch.step);
}

}  // namespace

void attention_split(const Attention& op, const Launch& launch) {
  const uint32_t together = heads_together(op.heads, op.keys);
  if (op.keys.dtype == abi::DType::i8)
    together == 1 ? launch_as<abi::DType::i8, 1>(op, launch)
                  : launch_as<abi::DType::i8, 2>(op, launch);
  else if (together == 4)
    launch_as<abi::DType::f16, 4>(op, launch);
  else
    together == 1 ? launch_as<abi::DType::f16, 1>(op, launch)
                  : launch_as<abi::DType::f16, 2>(op, launch);
  attention_combine(op, launch);
}

}  // namespace ropewalk::cuda
