// y = gate / (1 + exp(-gate)) * up. Grid (width / 256, rows). Bottleneck: the launch, then memory.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void silu_mul_kernel(const GateMul op, const StepView step) {
  const uint32_t r = blockIdx.y, i = blockIdx.x * kThreads + threadIdx.x;
  if (r >= rows_of(step, op.extent) || i >= op.width) return;
  const uint64_t at = uint64_t{r} * op.width + i;
  op.y[at] = activated(Activation::silu, op.gate[at]) * op.up[at];
}

}  // namespace

void silu_mul(const GateMul& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.width), launch.max_rows(op.extent));
  run_kernel(silu_mul_kernel, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
