// y[r][i] = o[order[i]], where o combines the runs of keys in order: for what the thread blocks of
// attention do not combine themselves. Grid (heads * d / 256, rows). Bottleneck: the launch.
#include "backends/cuda/ops/attention_partials.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void combine_kernel(const Attention op, const StepView step) {
  let_next_kernel_start();
  const uint32_t r = first_row_of(op, step) + blockIdx.y;
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t width = op.heads * op.keys.head_dim;
  // whole warps, each with a block of K of the next product
  if (r >= rows_of(step, Extent::rows) || i / 32 * 32 >= width) return;
  float value = 0.0f;
  if (i < width)
    value = combined(op, runs_of(op, keys_of_row(op, step, r)), blockIdx.y,
                     op.order ? static_cast<uint32_t>(op.order[i]) : i);
  if (i < width) store_y(op, r, i, value);
  if (op.prepared.x_f16) gptq::prepare_block(op.prepared, i / 32, r, value);
}

}  // namespace

void attention_combine(const Attention& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.heads * op.keys.head_dim), launch.rows);
  run_kernel(combine_kernel, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
