// y[w] = x[wanted[w]]. Grid (width / 256, wanted rows). Bottleneck: the launch, then memory.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void select_kernel(const Select op, const StepView step) {
  const uint32_t r = blockIdx.y, i = blockIdx.x * kThreads + threadIdx.x;
  if (r >= rows_of(step, Extent::wanted) || i >= op.width) return;
  op.y[uint64_t{r} * op.width + i] = op.x[uint64_t{step.wanted[r]} * op.width + i];
}

}  // namespace

void select(const Select& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.width), launch.wanted);
  run_kernel(select_kernel, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
