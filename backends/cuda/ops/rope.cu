// y[i] = x[i] c - x[i+d/2] s, y[i+d/2] = x[i+d/2] c + x[i] s, where c and s are the cosine and the
// sine of position * inv_freq[i], times the scale. Grid (rows), threads over pairs. Uses the
// accurate sine and cosine: the fast ones fail at positions of thousands. Bottleneck: the launch.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void rope_kernel(const Rope op, const StepView step) {
  const uint32_t r = blockIdx.x;
  if (r >= rows_of(step, Extent::rows)) return;
  const uint32_t half = op.head_dim / 2;
  const float position = static_cast<float>(step.position[r]);
  const float* inv_freq = step.inv_freq + uint64_t{step.sequence[r]} * step.rope_pairs;
  const uint64_t row = uint64_t{r} * op.heads * op.head_dim;
  for (uint32_t pair = threadIdx.x; pair < op.heads * half; pair += blockDim.x) {
    const uint32_t i = pair % half;
    const uint64_t at = row + pair / half * op.head_dim + i;
    const float2 rotated = rotate(op.x[at], op.x[at + half], position, inv_freq[i], op.scale);
    op.y[at] = rotated.x;
    op.y[at + half] = rotated.y;
  }
}

}  // namespace

void rope(const Rope& op, const Launch& launch) {
  run_kernel(rope_kernel, launch.rows, kThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
