// cache.cuh — where an element of the key-value cache lies, and its value.
#pragma once

#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {

// One head of one token: d elements, and for i8 their scale.
struct Entry {
  std::byte* elements;
  __half* scale;
};

__device__ __forceinline__ uint64_t page_bytes(const Cache& cache) {
  const uint64_t heads = uint64_t{abi::kPageTokens} * cache.kv_heads;
  return cache.dtype == abi::DType::i8 ? heads * (cache.head_dim + 2) : heads * cache.head_dim * 2;
}

__device__ __forceinline__ Entry entry_at(const Cache& cache, const StepView& step,
                                          uint32_t sequence, uint32_t head, uint32_t position) {
  const uint32_t page =
      step.page[uint64_t{sequence} * step.pages_per_sequence + position / abi::kPageTokens];
  std::byte* begin = cache.data + page * page_bytes(cache);
  const uint64_t row = uint64_t{head} * abi::kPageTokens + position % abi::kPageTokens;
  const uint32_t width = cache.dtype == abi::DType::i8 ? 1 : 2;
  const uint64_t codes = uint64_t{cache.kv_heads} * abi::kPageTokens * cache.head_dim;
  return {begin + row * cache.head_dim * width, reinterpret_cast<__half*>(begin + codes) + row};
}

}  // namespace ropewalk::cuda
