// y[r][i] = o[order[i]], where o combines the runs of keys in order. Grid (heads * d / 256, rows).
// Bottleneck: the launch.
#include "backends/cuda/gptq/lean/x.cuh"
#include "backends/cuda/ops/attention_partials.cuh"

namespace ropewalk::cuda {
namespace {

// Element i of row r, from the partial results of row `index` of the grid.
__device__ __forceinline__ float combined(const Attention& op, const StepView& step, uint32_t r,
                                          uint32_t index, uint32_t i) {
  const uint32_t d = op.keys.head_dim;
  const uint32_t keys = keys_of_row(op, step, r).count(), each = keys_of_run(op, keys);
  const uint32_t runs = (keys + each - 1) / each;
  const uint32_t from = op.order ? static_cast<uint32_t>(op.order[i]) : i;
  const float* partials = partial_at(op, index, from / d, 0);
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
  return value / sum;
}

__global__ void combine_kernel(const Attention op, const StepView step) {
  let_next_kernel_start();
  const uint32_t r = first_row_of(op, step) + blockIdx.y;
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t width = op.heads * op.keys.head_dim;
  // whole warps, each with a block of K of the next product
  if (r >= rows_of(step, Extent::rows) || i / 32 * 32 >= width) return;
  const float value = i < width ? combined(op, step, r, blockIdx.y, i) : 0.0f;
  if (i < width) op.y[uint64_t{r} * width + i] = value;
  if (op.prepared.x_f16) gptq::prepare_block(op.prepared, i / 32, r, value);
}

}  // namespace

void attention_combine(const Attention& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.heads * op.keys.head_dim), launch.rows);
  run_kernel(combine_kernel, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
