// append.cuh — prepares one head of a row for attention: rotates queries and keys, appends keys and
// values to the cache.
#pragma once

#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda {

// `part`: 0 queries, 1 keys, 2 values.
struct HeadOfRow {
  uint32_t part, head, row;
};

// y may be x.
__device__ __forceinline__ void rotate_head(const float* x, float* y, uint32_t half, float position,
                                            const float* inv_freq, float scale) {
  for (uint32_t i = threadIdx.x % 32; i < half; i += 32) {
    const float2 rotated = rotate(x[i], x[i + half], position, inv_freq[i], scale);
    y[i] = rotated.x;
    y[i + half] = rotated.y;
  }
}

// By a warp. `scratch` holds a rotated head of keys; it may be x.
__device__ __forceinline__ void append_head(const RopeAppend& op, const StepView& step,
                                            const HeadOfRow& at, const float* x, float* scratch) {
  const uint32_t d = op.keys.head_dim, sequence = step.sequence[at.row];
  const uint32_t position = step.position[at.row];
  if (at.part == 2)
    return store_head(x, op.values, entry_at(op.values, step, sequence, at.head, position));
  const float* inv_freq = step.inv_freq + uint64_t{sequence} * step.rope_pairs;
  float* to = at.part == 0 ? op.q_rotated + (uint64_t{at.row} * op.heads + at.head) * d : scratch;
  rotate_head(x, to, d / 2, static_cast<float>(position), inv_freq, op.scale);
  if (at.part == 0) return;
  __syncwarp();
  store_head(scratch, op.keys, entry_at(op.keys, step, sequence, at.head, position));
}

}  // namespace ropewalk::cuda
