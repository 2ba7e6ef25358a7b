// Prepares x as lean/x.h says. Grid (blocks of K / 8, rows), a warp a block of a row. Bottleneck:
// the launch.
#include "backends/cuda/gptq/lean/x.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kWarps = 8;

__global__ void __launch_bounds__(kWarps * 32)
    prepare_kernel(const PrepareX op, const StepView step) {
  let_next_kernel_start();
  const uint32_t block = blockIdx.x * kWarps + threadIdx.x / 32, row = blockIdx.y;
  if (row >= rows_of(step, op.extent) || block * kBlockRows >= op.depth) return;
  const uint32_t k = block * kBlockRows + threadIdx.x % 32;
  prepare_block(op.to, block, row, k < op.depth ? op.x[uint64_t{row} * op.depth + k] : 0.0f);
}

}  // namespace

void prepare_x(const PrepareX& op, const StepView& step, cudaStream_t stream) {
  const dim3 grid(divide_up(op.depth, kWarps * kBlockRows), op.rows);
  run_kernel(prepare_kernel, grid, kWarps * 32, stream, op, step);
}

}  // namespace ropewalk::cuda::gptq
