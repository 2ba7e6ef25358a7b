// y = a + b * scale. Grid (width / 256, rows). Bottleneck: the launch, then memory.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void add_kernel(const Add op, const StepView step) {
  const uint32_t r = blockIdx.y, i = blockIdx.x * kThreads + threadIdx.x;
  if (r >= rows_of(step, op.extent) || i >= op.width) return;
  const uint64_t at = uint64_t{r} * op.width + i;
  op.y[at] = op.a[at] + op.b[at] * op.scale;
}

}  // namespace

void add(const Add& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.width), launch.max_rows(op.extent));
  run_kernel(add_kernel, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
