// Row r's keys and values become entry position % 256 of page[position / 256]. Grid (kv_heads,
// rows, keys and values), a warp a head. Bottleneck: the launch.
#include "backends/cuda/ops/cache.cuh"

namespace ropewalk::cuda {
namespace {

// round(x * 127 / most), ties to even, scale most / 127. Codes have no NaN; the scale does, so that
// a broken activation is seen in the logits.
__device__ void store_i8(const float* x, uint32_t head_dim, const Entry& entry) {
  float most = 0.0f;
  bool finite = true;
  for (uint32_t i = threadIdx.x; i < head_dim; i += 32) {
    most = fmaxf(most, fabsf(x[i]));
    finite = finite && isfinite(x[i]);
  }
  for (uint32_t mask = 16; mask; mask /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, mask));
  finite = __all_sync(~0u, finite);
  auto* codes = reinterpret_cast<int8_t*>(entry.elements);
  for (uint32_t i = threadIdx.x; i < head_dim; i += 32)
    codes[i] = most > 0.0f && finite ? static_cast<int8_t>(rintf(x[i] * 127.0f / most)) : int8_t{0};
  if (threadIdx.x == 0)
    *entry.scale = __float2half_rn(finite ? most / 127.0f : __int_as_float(0x7fc00000));
}

__global__ void kv_append_kernel(const KvAppend op, const StepView step) {
  const uint32_t head = blockIdx.x, r = blockIdx.y;
  if (r >= rows_of(step, Extent::rows)) return;
  const Cache& cache = blockIdx.z ? op.values : op.keys;
  const float* x =
      (blockIdx.z ? op.v : op.k) + (uint64_t{r} * cache.kv_heads + head) * cache.head_dim;
  const Entry entry = entry_at(cache, step, step.sequence[r], head, step.position[r]);
  if (cache.dtype == abi::DType::i8) return store_i8(x, cache.head_dim, entry);
  auto* halves = reinterpret_cast<__half*>(entry.elements);
  for (uint32_t i = threadIdx.x; i < cache.head_dim; i += 32) halves[i] = __float2half_rn(x[i]);
}

}  // namespace

void kv_append(const KvAppend& op, const Launch& launch) {
  const dim3 grid(op.keys.kv_heads, launch.rows, 2);
  run_kernel(kv_append_kernel, grid, 32, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda
