// o = softmax(q . k[j] scale) v[j] over j in [0, position], online and in f32. Grid (heads, rows,
// splits), 4 warps that take keys in turn, a lane the pairs (i, i + d/2) of a head. Then a kernel
// combines the splits in order. Bottleneck: the shuffles of q . k; this is the plain kernel that
// faster ones are compared with, prompts want tiles on tensor cores.
#include <algorithm>

#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kWarps = 4;
constexpr uint32_t kPairs = kMostHeadDim / 2 / 32;  // of a lane
constexpr float kNone = -3.0e38f;                   // below every score; finite, so exp gives 0

struct Pairs {
  float low[kPairs], high[kPairs];
};

template <class Element>
__device__ __forceinline__ Pairs load(const Element* x, uint32_t half, float scale) {
  Pairs pairs = {};
#pragma unroll
  for (uint32_t n = 0; n < kPairs; ++n) {
    const uint32_t i = n * 32 + threadIdx.x % 32;
    if (i >= half) continue;
    pairs.low[n] = static_cast<float>(x[i]) * scale;
    pairs.high[n] = static_cast<float>(x[i + half]) * scale;
  }
  return pairs;
}

template <abi::DType kType>
__device__ __forceinline__ Pairs load_entry(const Entry& entry, uint32_t half) {
  if constexpr (kType == abi::DType::i8)
    return load(reinterpret_cast<const int8_t*>(entry.elements), half, __half2float(*entry.scale));
  else
    return load(reinterpret_cast<const __half*>(entry.elements), half, 1.0f);
}

__device__ void rotate(Pairs& pairs, uint32_t half, uint32_t position, const float* inv_freq) {
#pragma unroll
  for (uint32_t n = 0; n < kPairs; ++n) {
    const uint32_t i = n * 32 + threadIdx.x % 32;
    if (i >= half) continue;
    float sine, cosine;
    sincosf(static_cast<float>(position) * inv_freq[i], &sine, &cosine);
    const float low = pairs.low[n], high = pairs.high[n];
    pairs.low[n] = low * cosine - high * sine;
    pairs.high[n] = high * cosine + low * sine;
  }
}

__device__ __forceinline__ float dot(const Pairs& a, const Pairs& b) {
  float sum = 0.0f;
#pragma unroll
  for (uint32_t n = 0; n < kPairs; ++n) sum += a.low[n] * b.low[n] + a.high[n] * b.high[n];
  return warp_sum(sum);
}

// Weighted values, the greatest score and the sum of weights: what two runs of keys combine by.
struct Part {
  float most = kNone, sum = 0.0f;
  Pairs values = {};

  __device__ __forceinline__ void add(float score, const Pairs& v) {
    const float before = most;
    most = fmaxf(most, score);
    const float keep = expf(before - most), weight = expf(score - most);
    sum = sum * keep + weight;
#pragma unroll
    for (uint32_t n = 0; n < kPairs; ++n) {
      values.low[n] = values.low[n] * keep + weight * v.low[n];
      values.high[n] = values.high[n] * keep + weight * v.high[n];
    }
  }
};

struct Shared {
  float most[kWarps], sum[kWarps];
  float values[kWarps][kMostHeadDim];
};

// The warps' parts in order, as the split's part.
__device__ void finish(const Attention& op, const Shared& shared, uint32_t r, uint32_t head) {
  const uint32_t d = op.keys.head_dim;
  float most = kNone, sum = 0.0f;
  for (uint32_t w = 0; w < kWarps; ++w) most = fmaxf(most, shared.most[w]);
  for (uint32_t w = 0; w < kWarps; ++w) sum += shared.sum[w] * expf(shared.most[w] - most);
  float* part = op.partials + ((uint64_t{r} * op.heads + head) * op.splits + blockIdx.z) * (d + 2);
  for (uint32_t i = threadIdx.x; i < d; i += blockDim.x) {
    float value = 0.0f;
    for (uint32_t w = 0; w < kWarps; ++w)
      value += shared.values[w][i] * expf(shared.most[w] - most);
    part[i] = value;
  }
  if (threadIdx.x == 0) {
    part[d] = most;
    part[d + 1] = sum;
  }
}

template <abi::DType kType>
__global__ void __launch_bounds__(kWarps * 32)
    attention_kernel(const Attention op, const StepView step) {
  __shared__ Shared shared;
  const uint32_t head = blockIdx.x, r = blockIdx.y;
  if (r >= rows_of(step, Extent::rows)) return;
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t d = op.keys.head_dim, half = d / 2, sequence = step.sequence[r];
  const uint32_t keys = step.position[r] + 1, per = (keys + op.splits - 1) / op.splits;
  const uint32_t begin = blockIdx.z * per, end = min(begin + per, keys);
  const uint32_t kv_head = head / (op.heads / op.keys.kv_heads);
  const bool rotated = op.rotation == abi::KeyRotation::on_read;
  const float* inv_freq = step.inv_freq + uint64_t{sequence} * step.half_dim;

  Pairs q = load(op.q + (uint64_t{r} * op.heads + head) * d, half, 1.0f);
  if (rotated) rotate(q, half, step.position[r], inv_freq);
  Part part;
  for (uint32_t j = begin + warp; j < end; j += kWarps) {
    Pairs k = load_entry<kType>(entry_at(op.keys, step, sequence, kv_head, j), half);
    const Pairs v = load_entry<kType>(entry_at(op.values, step, sequence, kv_head, j), half);
    if (rotated) rotate(k, half, j, inv_freq);
    part.add(dot(q, k) * op.scale, v);
  }

  if (lane == 0) {
    shared.most[warp] = part.most;
    shared.sum[warp] = part.sum;
  }
#pragma unroll
  for (uint32_t n = 0; n < kPairs; ++n) {
    const uint32_t i = n * 32 + lane;
    if (i >= half) continue;
    shared.values[warp][i] = part.values.low[n];
    shared.values[warp][i + half] = part.values.high[n];
  }
  __syncthreads();
  finish(op, shared, r, head);
}

// y[r][i] = o[order[i]], o the splits combined in order. Grid (heads * d / 256, rows).
__global__ void combine_kernel(const Attention op, const StepView step) {
  const uint32_t r = blockIdx.y, i = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t d = op.keys.head_dim, width = op.heads * d;
  if (r >= rows_of(step, Extent::rows) || i >= width) return;
  const uint32_t from = op.order ? static_cast<uint32_t>(op.order[i]) : i;
  const float* parts = op.partials + (uint64_t{r} * op.heads + from / d) * op.splits * (d + 2);
  float most = kNone;
  for (uint32_t s = 0; s < op.splits; ++s) most = fmaxf(most, parts[s * (d + 2) + d]);
  float sum = 0.0f, value = 0.0f;
  for (uint32_t s = 0; s < op.splits; ++s) {
    const float* part = parts + s * (d + 2);
    const float weight = expf(part[d] - most);
    sum += part[d + 1] * weight;
    value += part[from % d] * weight;
  }
  op.y[uint64_t{r} * width + i] = value / sum;
}

}  // namespace

uint32_t attention_splits(uint32_t rows, uint32_t heads, uint32_t pages_per_sequence,
                          uint32_t multiprocessors) {
  constexpr uint32_t kBlocksPerMultiprocessor = 8;  // a doubt: to be measured
  const uint32_t wanted = multiprocessors * kBlocksPerMultiprocessor / (rows * heads);
  // Splits of fewer than 64 keys in the longest context cost more to combine than they save.
  return std::clamp(wanted, 1u, pages_per_sequence * abi::kPageTokens / 64);
}

void attention(const Attention& op, const Launch& launch) {
  const dim3 grid(op.heads, launch.rows, op.splits);
  if (op.keys.dtype == abi::DType::i8)
    run_kernel(attention_kernel<abi::DType::i8>, grid, kWarps * 32, launch.stream, op, launch.step);
  else
    run_kernel(attention_kernel<abi::DType::f16>, grid, kWarps * 32, launch.stream, op,
               launch.step);
  const dim3 combine(threads_for(op.heads * op.keys.head_dim), launch.rows);
  run_kernel(combine_kernel, combine, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
