// Replaces rope of the queries, rope of the keys and kv_append; the turned keys are in no memory
// but the cache. Grid (heads of queries, keys and values, rows), a warp a head. Bottleneck: the
// launch, of which it saves two; not measured.
#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda {
namespace {

__device__ void turn_head(const float* x, float* y, uint32_t half, float position,
                          const float* inv_freq, float scale) {
  for (uint32_t i = threadIdx.x; i < half; i += 32) {
    const float2 turned = turn(x[i], x[i + half], position * inv_freq[i], scale);
    y[i] = turned.x;
    y[i + half] = turned.y;
  }
}

__global__ void rope_append_kernel(const RopeAppend op, const StepView step) {
  __shared__ float turned[kMostHeadDim];
  const uint32_t r = blockIdx.y;
  if (r >= rows_of(step, Extent::rows)) return;
  const uint32_t d = op.keys.head_dim, kv_heads = op.keys.kv_heads, sequence = step.sequence[r];
  const auto position = static_cast<float>(step.position[r]);
  const float* inv_freq = step.inv_freq + uint64_t{sequence} * step.half_dim;
  if (blockIdx.x < op.heads) {
    const uint64_t at = (uint64_t{r} * op.heads + blockIdx.x) * d;
    return turn_head(op.q + at, op.q_turned + at, d / 2, position, inv_freq, op.scale);
  }
  const bool is_value = blockIdx.x >= op.heads + kv_heads;
  const uint32_t head = blockIdx.x - op.heads - (is_value ? kv_heads : 0);
  const uint64_t at = (uint64_t{r} * kv_heads + head) * d;
  if (is_value) {
    const Entry entry = entry_at(op.values, step, sequence, head, step.position[r]);
    return store_head(op.v + at, op.values, entry);
  }
  turn_head(op.k + at, turned, d / 2, position, inv_freq, op.scale);
  __syncthreads();
  store_head(turned, op.keys, entry_at(op.keys, step, sequence, head, step.position[r]));
}

}  // namespace

void rope_append(const RopeAppend& op, const Launch& launch) {
  const dim3 grid(op.heads + 2 * op.keys.kv_heads, launch.rows);
  run_kernel(rope_append_kernel, grid, 32, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
