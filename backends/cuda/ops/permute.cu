// y[i] = x[order[i]]. Grid (width / 256, rows). Bottleneck: the launch, then memory.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void permute_kernel(const Permute op, const StepView step) {
  const uint32_t r = blockIdx.y, i = blockIdx.x * kThreads + threadIdx.x;
  if (r >= rows_of(step, op.extent) || i >= op.width) return;
  const uint64_t row = uint64_t{r} * op.width;
  op.y[row + i] = op.x[row + static_cast<uint32_t>(op.order[i])];
}

}  // namespace

void permute(const Permute& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.width), launch.max_rows(op.extent));
  run_kernel(permute_kernel, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
