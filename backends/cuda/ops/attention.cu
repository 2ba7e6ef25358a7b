// The plain kernel, for what the faster ones do not take: keys that are rotated on reading, odd
// head sizes. o = softmax(q . k[j] scale) v[j] over the keys j of a row, an online softmax in f32.
// Grid (heads, rows, runs of keys), 4 warps that take keys alternately; a lane has the pairs (i, i
// + d/2) of a head. The last thread block of a head combines its runs in order, or another kernel
// does. Bottleneck: the shuffles of q . k.
#include "backends/cuda/ops/attention_partials.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kPairs = kMaxHeadDim / 2 / 32;  // of a lane

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

__device__ void rotate_pairs(Pairs& pairs, uint32_t half, uint32_t position,
                             const float* inv_freq) {
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

// The state of an online softmax: weighted values, max score and sum of weights.
struct OnlineSoftmax {
  float max = kNoScore, sum = 0.0f;
  Pairs values = {};

  __device__ __forceinline__ void add(float score, const Pairs& v) {
    const float before = max;
    max = fmaxf(max, score);
    const float keep = exp2f(before - max), weight = exp2f(score - max);
    sum = sum * keep + weight;
#pragma unroll
    for (uint32_t n = 0; n < kPairs; ++n) {
      values.low[n] = values.low[n] * keep + weight * v.low[n];
      values.high[n] = values.high[n] * keep + weight * v.high[n];
    }
  }
};

// Without the 6 the compiler spills 4 bytes on Turing, for two more thread blocks.
template <abi::DType kType>
__global__ void __launch_bounds__(kAttentionWarps * 32, 6)
    attention_kernel(const Attention op, const StepView step) {
  __shared__ WarpPartials<1, kMaxHeadDim> warps;
  let_next_kernel_start();
  const uint32_t head = blockIdx.x, r = first_row_of(op, step) + blockIdx.y;
  if (r >= rows_of(step, Extent::rows)) return;
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t d = op.keys.head_dim, half = d / 2, sequence = step.sequence[r];
  const KeysOfRow keys = keys_of_row(op, step, r);
  const uint32_t each = keys_of_run(op, keys.count());
  const uint32_t begin = keys.first + blockIdx.z * each, end = min(begin + each, keys.end);
  if (begin >= keys.end) return;
  const uint32_t kv_head = head / (op.heads / op.keys.kv_heads);
  const bool rotated = op.params.rotation == abi::KeyRotation::on_read;
  const float* inv_freq = step.inv_freq + uint64_t{sequence} * step.rope_pairs;

  // load and rotate the query
  Pairs q = load(op.q + (uint64_t{r} * op.heads + head) * d, half, 1.0f);
  if (rotated) rotate_pairs(q, half, step.position[r], inv_freq);
  OnlineSoftmax softmax;
  // one key after another
  for (uint32_t j = begin + warp; j < end; j += kAttentionWarps) {
    Pairs k = load_entry<kType>(entry_at(op.keys, step, sequence, kv_head, j), half);
    const Pairs v = load_entry<kType>(entry_at(op.values, step, sequence, kv_head, j), half);
    if (rotated) rotate_pairs(k, half, j, inv_freq);
    softmax.add(capped(op, dot(q, k) * (op.params.scale * kLog2E)), v);
  }

  // combine the warps
  if (lane == 0) {
    warps.max[warp][0] = softmax.max;
    warps.sum[warp][0] = softmax.sum;
  }
#pragma unroll
  for (uint32_t n = 0; n < kPairs; ++n) {
    const uint32_t i = n * 32 + lane;
    if (i >= half) continue;
    warps.values[warp][0][i] = softmax.values.low[n];
    warps.values[warp][0][i + half] = softmax.values.high[n];
  }
  __syncthreads();
  join_warps(op, warps, head);
  combine_if_last<1>(op, r, runs_of(op, keys), head);
}

}  // namespace

void attention(const Attention& op, const Launch& launch) {
  const dim3 grid(op.heads, launch.rows, op.splits);
  if (op.keys.dtype == abi::DType::i8)
    run_kernel(attention_kernel<abi::DType::i8>, grid, kAttentionWarps * 32, launch.stream, op,
               launch.step);
  else
    run_kernel(attention_kernel<abi::DType::f16>, grid, kAttentionWarps * 32, launch.stream, op,
               launch.step);
  if (!op.counters) attention_combine(op, launch);
}

}  // namespace ropewalk::cuda
