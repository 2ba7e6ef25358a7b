// For each run x of a row: m = x / sqrt(mean(x^2) + epsilon), y[i] = m[j] weight[j] with j =
// order[i]. Grid (rows, runs), a thread block a run. Bottleneck: the launch, then reading a row
// twice.
#include <algorithm>

#include "backends/cuda/gptq/lean/x.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kMaxThreads = 1024;

__global__ void rms_norm_kernel(const RmsNorm op, const StepView step) {
  let_next_kernel_start();
  if (blockIdx.x >= rows_of(step, op.extent)) return;
  const uint64_t first = (uint64_t{blockIdx.x} * op.runs + blockIdx.y) * op.width;
  const float* x = op.x + first;
  float* y = op.y + first;
  // mean of squares over the thread block
  float squares = 0.0f;
  for (uint32_t i = threadIdx.x; i < op.width; i += blockDim.x) squares += x[i] * x[i];
  const float mean = block_sum(squares) / static_cast<float>(op.width);
  const float factor = 1.0f / sqrtf(mean + op.epsilon);
  // scale, weigh and reorder; whole warps, each with a block of K of the next product
  for (uint32_t i = threadIdx.x; i / 32 * 32 < op.width; i += blockDim.x) {
    float value = 0.0f;
    if (i < op.width) {
      const uint32_t j = op.order ? static_cast<uint32_t>(op.order[i]) : i;
      y[i] = value = x[j] * factor * op.weight[j];
    }
    if (op.prepared.x_f16) gptq::prepare_block(op.prepared, i / 32, blockIdx.x, value);
  }
}

}  // namespace

void rms_norm(const RmsNorm& op, const Launch& launch) {
  const dim3 grid(launch.max_rows(op.extent), op.runs);
  const uint32_t threads = std::min(kMaxThreads, (op.width + 31) / 32 * 32);
  run_kernel(rms_norm_kernel, grid, threads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
