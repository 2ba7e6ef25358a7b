// y[r] = table[token[r]] * scale. Grid (width / 256, rows). Bottleneck: the launch.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

template <class Element>
__global__ void embed_kernel(const Embed op, const StepView step) {
  const uint32_t r = blockIdx.y, i = blockIdx.x * kThreads + threadIdx.x;
  if (r >= rows_of(step, Extent::rows) || i >= op.width) return;
  const auto* row = reinterpret_cast<const Element*>(op.table) + uint64_t(step.token[r]) * op.width;
  op.y[uint64_t{r} * op.width + i] = to_float(row[i]) * op.scale;
}

}  // namespace

void embed(const Embed& op, const Launch& launch) {
  const dim3 grid(blocks_for(op.width), launch.rows);
  if (op.dtype == abi::DType::f32)
    run_kernel(embed_kernel<float>, grid, kThreads, launch.stream, op, launch.step);
  else if (op.dtype == abi::DType::f16)
    run_kernel(embed_kernel<__half>, grid, kThreads, launch.stream, op, launch.step);
  else
    run_kernel(embed_kernel<__nv_bfloat16>, grid, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
