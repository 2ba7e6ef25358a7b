// cache.cuh — the address of an entry of the key-value cache, and how one is stored.
#pragma once

#include "backends/cuda/ops/device.cuh"
#include "backends/cuda/ops/page_layout.h"

namespace ropewalk::cuda {

// One head of one token: d elements, and for i8 their scale.
struct Entry {
  std::byte* elements;
  __half* scale;
};

__device__ __forceinline__ PageLayout page_layout(const Cache& cache) {
  return {cache.kv_heads, cache.head_dim, cache.dtype == abi::DType::i8 ? 1u : 2u,
          cache.page_shift};
}

__device__ __forceinline__ Entry entry_at(const Cache& cache, const StepView& step,
                                          uint32_t sequence, uint32_t head, uint32_t position) {
  const PageLayout layout = page_layout(cache);
  const uint32_t page =
      step.page[uint64_t{sequence} * step.pages_per_sequence + (position >> cache.page_shift)];
  std::byte* begin = cache.data + page * page_bytes(layout);
  return {begin + elements_at(layout, head, position),
          reinterpret_cast<__half*>(begin + scale_at(layout, head, position))};
}

// Code round(x * 127 / max), ties to even, and scale max / 127. Codes cannot be NaN, but the scale
// can: so a NaN activation reaches the logits.
__device__ inline void store_i8(const float* x, uint32_t head_dim, const Entry& entry) {
  // max and finiteness over the warp
  float max = 0.0f;
  bool finite = true;
  for (uint32_t i = threadIdx.x % 32; i < head_dim; i += 32) {
    max = fmaxf(max, fabsf(x[i]));
    finite = finite && isfinite(x[i]);
  }
  max = warp_max(max);
  finite = __all_sync(~0u, finite);
  // codes and scale
  auto* codes = reinterpret_cast<int8_t*>(entry.elements);
  for (uint32_t i = threadIdx.x % 32; i < head_dim; i += 32)
    codes[i] = max > 0.0f && finite ? static_cast<int8_t>(rintf(x[i] * 127.0f / max)) : int8_t{0};
  if (threadIdx.x % 32 == 0)
    *entry.scale = __float2half_rn(finite ? max / 127.0f : __int_as_float(0x7fc00000));
}

// Stores one head of a row as an entry, by a warp.
__device__ inline void store_head(const float* x, const Cache& cache, const Entry& entry) {
  if (cache.dtype == abi::DType::i8) return store_i8(x, cache.head_dim, entry);
  auto* elements = reinterpret_cast<__half*>(entry.elements);
  for (uint32_t i = threadIdx.x % 32; i < cache.head_dim; i += 32)
    elements[i] = __float2half_rn(x[i]);
}

}  // namespace ropewalk::cuda
