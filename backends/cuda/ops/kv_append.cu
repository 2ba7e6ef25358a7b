// Stores row r's keys and values in entry position % T of page[position / T], for pages of T
// tokens. Grid (kv_heads, rows, keys and values), a warp a head. Bottleneck: the launch.
#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda {
namespace {

__global__ void kv_append_kernel(const KvAppend op, const StepView step) {
  const uint32_t head = blockIdx.x, r = blockIdx.y;
  if (r >= rows_of(step, Extent::rows)) return;
  const Cache& cache = blockIdx.z ? op.values : op.keys;
  const float* x =
      (blockIdx.z ? op.v : op.k) + (uint64_t{r} * cache.kv_heads + head) * cache.head_dim;
  const Entry entry = entry_at(cache, step, step.sequence[r], head, step.position[r]);
  store_head(x, cache, entry);
}

}  // namespace

void kv_append(const KvAppend& op, const Launch& launch) {
  const dim3 grid(op.keys.kv_heads, launch.rows, 2);
  run_kernel(kv_append_kernel, grid, 32, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
