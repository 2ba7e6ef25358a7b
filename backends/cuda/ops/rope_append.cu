// Replaces rope of the queries, rope of the keys and kv_append; rotated keys are only written to
// the cache. Grid (heads of queries, keys and values, rows), a warp a head. Bottleneck: the launch,
// of which it saves two; not measured.
#include "backends/cuda/ops/append.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void rope_append_kernel(const RopeAppend op, const StepView step) {
  __shared__ float scratch[kMaxHeadDim];
  const uint32_t r = blockIdx.y, kv_heads = op.keys.kv_heads;
  if (r >= rows_of(step, Extent::rows)) return;
  const uint32_t d = op.keys.head_dim, part = blockIdx.x < op.heads              ? 0
                                              : blockIdx.x < op.heads + kv_heads ? 1
                                                                                 : 2;
  const uint32_t head =
      part == 0 ? blockIdx.x : (blockIdx.x - op.heads) - (part == 2 ? kv_heads : 0);
  const float* rows = part == 0 ? op.q : part == 1 ? op.k : op.v;
  const uint64_t at = (uint64_t{r} * (part == 0 ? op.heads : kv_heads) + head) * d;
  append_head(op, step, {part, head, r}, rows + at, scratch);
}

}  // namespace

void rope_append(const RopeAppend& op, const Launch& launch) {
  const dim3 grid(op.heads + 2 * op.keys.kv_heads, launch.rows);
  run_kernel(rope_append_kernel, grid, 32, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
