// y[r][i] = o[order[i]], where o combines the runs of keys in order. Grid (heads * d / 256, rows).
// Bottleneck: the launch.
#include "backends/cuda/ops/attention_partials.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void combine_kernel(const Attention op, const StepView step) {
  const uint32_t r = first_row_of(op, step) + blockIdx.y;
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t d = op.keys.head_dim, width = op.heads * d;
  if (r >= rows_of(step, Extent::rows) || i >= width) return;
  const uint32_t keys = step.position[r] + 1, each = keys_of_run(op, keys);
  const uint32_t runs = (keys + each - 1) / each;
  const uint32_t from = op.order ? static_cast<uint32_t>(op.order[i]) : i;
  const float* partials = partial_at(op, blockIdx.y, from / d, 0);
  // max over the runs
  float max = kNoScore;
  for (uint32_t s = 0; s < runs; ++s) max = fmaxf(max, partials[s * (d + 2) + d]);
  // sum of weights and of weighted values
  float sum = 0.0f, value = 0.0f;
  for (uint32_t s = 0; s < runs; ++s) {
    const float* partial = partials + s * (d + 2);
    const float weight = exp2f(partial[d] - max);
    sum += partial[d + 1] * weight;
    value += partial[from % d] * weight;
  }
  op.y[uint64_t{r} * width + i] = value / sum;
}

}  // namespace

void attention_combine(const Attention& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.heads * op.keys.head_dim), launch.rows);
  run_kernel(combine_kernel, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
