// Decoding: o = softmax(q . k[j] scale) v[j] over a run of j in [0, position], for 1, 2 or 4 heads
// that read the same keys and values. Grid (heads / those, rows, runs), 4 warps. Then the runs are
// combined in order. Bottleneck: memory, keys and values.
//
// A lane loads 16 bytes of a key at once, so a key takes 2 to 16 lanes and a warp reads several; 4
// of them each are on their way together. Codes of an int8 cache become floats in registers.
// Softmax is online and in f32: each group of lanes keeps its own, and they are joined at the end.
#include "backends/cuda/ops/attention_partials.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kMostDim = 128;
constexpr uint32_t kAtOnce = 4;  // keys of a group of lanes

// What of the warp a lane is.
struct Group {
  uint32_t lanes;   // of a key, a power of two
  uint32_t count;   // keys that a warp reads at once
  uint32_t number;  // which of them the lane reads
  uint32_t first;   // element of a head that the lane begins with
  bool there;       // else the head ends before
};

template <uint32_t kElements>
__device__ __forceinline__ Group group_of(uint32_t head_dim) {
  uint32_t lanes = 1;
  while (lanes * kElements < head_dim) lanes *= 2;
  const uint32_t lane = threadIdx.x % 32, first = lane % lanes * kElements;
  return {lanes, 32 / lanes, lane / lanes, first, first < head_dim};
}

// A lane's share of an entry, as it lies there.
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
  if (group.there)
    loaded.words = *reinterpret_cast<const uint4*>(entry.elements + group.first * kBytes);
  if constexpr (kType == abi::DType::i8) loaded.scale = __half2float(*entry.scale);
  return loaded;
}

// Element i; without the scale.
template <abi::DType kType>
__device__ __forceinline__ float element(const Loaded<kType>& loaded, uint32_t i) {
  const uint32_t words[4] = {loaded.words.x, loaded.words.y, loaded.words.z, loaded.words.w};
  if constexpr (kType == abi::DType::i8)
    return static_cast<float>(static_cast<int8_t>(words[i / 4] >> i % 4 * 8));
  else
    return __half2float(__ushort_as_half(static_cast<uint16_t>(words[i / 2] >> i % 2 * 16)));
}

// Of one head, in a group of lanes.
template <uint32_t kElements>
struct Part {
  float most = kNoScore, sum = 0.0f;
  float values[kElements] = {};

  __device__ __forceinline__ void scale_to(float greater) {
    const float keep = exp2f(most - greater);
    most = greater;
    sum *= keep;
#pragma unroll
    for (float& value : values) value *= keep;
  }
};

// All groups' parts, in the same order whichever lane computes it.
template <uint32_t kElements>
__device__ __forceinline__ void join_groups(const Group& group, Part<kElements>& part) {
  for (uint32_t mask = group.lanes; mask < 32; mask *= 2) {
    part.scale_to(fmaxf(part.most, __shfl_xor_sync(~0u, part.most, mask)));
    part.sum += __shfl_xor_sync(~0u, part.sum, mask);
#pragma unroll
    for (float& value : part.values) value += __shfl_xor_sync(~0u, value, mask);
  }
}

// The group's keys first, first + stride, .. below end, kAtOnce of them.
struct Some {
  uint32_t sequence, head, first, stride, end;
};

template <abi::DType kType, uint32_t kHeads, uint32_t kElements>
__device__ __forceinline__ void attend(const Attention& op, const StepView& step,
                                       const Group& group, const Some& some,
                                       const float (&q)[kHeads][kElements],
                                       Part<kElements> (&parts)[kHeads]) {
  Loaded<kType> k[kAtOnce], v[kAtOnce];
#pragma unroll
  for (uint32_t n = 0; n < kAtOnce; ++n) {
    // Beyond the end the last key again, which is there and not counted below.
    const uint32_t j = min(some.first + n * some.stride, some.end - 1);
    k[n] = load<kType>(op.keys, step, group, some.sequence, some.head, j);
    v[n] = load<kType>(op.values, step, group, some.sequence, some.head, j);
  }
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h) {
    float score[kAtOnce], most = parts[h].most;
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) {
      score[n] = 0.0f;
#pragma unroll
      for (uint32_t i = 0; i < kElements; ++i) score[n] += q[h][i] * element(k[n], i);
      for (uint32_t mask = group.lanes / 2; mask; mask /= 2)
        score[n] += __shfl_xor_sync(~0u, score[n], mask);
      const bool counts = some.first + n * some.stride < some.end;
      score[n] = counts ? score[n] * k[n].scale : kNoScore;
      most = fmaxf(most, score[n]);
    }
    parts[h].scale_to(most);
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) {
      const bool counts = some.first + n * some.stride < some.end;
      const float weight = counts ? exp2f(score[n] - most) : 0.0f;
      parts[h].sum += weight;
      const float scaled = weight * v[n].scale;
#pragma unroll
      for (uint32_t i = 0; i < kElements; ++i)
        parts[h].values[i] += counts ? scaled * element(v[n], i) : 0.0f;
    }
  }
}

template <abi::DType kType, uint32_t kHeads>
__global__ void __launch_bounds__(kAttentionWarps * 32)
    attention_split_kernel(const Attention op, const StepView step) {
  constexpr uint32_t kElements = kType == abi::DType::i8 ? 16 : 8;
  __shared__ WarpParts<kHeads, kMostDim> warps;
  const uint32_t r = first_row_of(op, step) + blockIdx.y, first_head = blockIdx.x * kHeads;
  if (r >= rows_of(step, Extent::rows)) return;
  const uint32_t keys = step.position[r] + 1, each = keys_of_run(op, keys);
  const uint32_t begin = blockIdx.z * each, end = min(begin + each, keys);
  if (begin >= keys) return;
  const uint32_t d = op.keys.head_dim, warp = threadIdx.x / 32;
  const Group group = group_of<kElements>(d);

  float q[kHeads][kElements];
  Part<kElements> parts[kHeads];
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h)
#pragma unroll
    for (uint32_t i = 0; i < kElements; ++i)
      q[h][i] = group.there
                    ? op.q[(uint64_t{r} * op.heads + first_head + h) * d + group.first + i] *
                          (op.scale * kLog2E)
                    : 0.0f;

  Some some{step.sequence[r], first_head / (op.heads / op.keys.kv_heads), 0,
            kAttentionWarps * group.count, end};
  // The same number of rounds for all lanes of a warp.
  for (uint32_t j = begin + warp * group.count; j < end; j += some.stride * kAtOnce) {
    some.first = j + group.number;
    attend<kType, kHeads, kElements>(op, step, group, some, q, parts);
  }

#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h) {
    join_groups(group, parts[h]);
    if (group.number) continue;
    warps.most[warp][h] = parts[h].most;
    warps.sum[warp][h] = parts[h].sum;
#pragma unroll
    for (uint32_t i = 0; i < kElements; ++i)
      if (group.there) warps.values[warp][h][group.first + i] = parts[h].values[i];
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
