// kv_page.h — the pages of the key-value cache: the tokens that one holds, and its bytes.
//
// The size is chosen when a model is loaded. It is dim[1] of every cache tensor of a graph.
#pragma once

#include <cstdint>

#include "core/abi/graph.h"

namespace ropewalk::abi {

inline constexpr uint32_t kPageSizes[] = {32, 64, 128, 256};  // tokens
inline constexpr uint32_t kDefaultPageTokens = 64;
inline constexpr uint32_t kMaxPageTokens = 256;

constexpr bool is_page_size(uint32_t tokens) {
  for (const uint32_t size : kPageSizes)
    if (tokens == size) return true;
  return false;
}

constexpr uint32_t pages_for(uint32_t tokens, uint32_t page_tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}

// The tokens of a page in this graph, which is the same in all its caches.
inline uint32_t page_tokens_of(const Graph& graph) {
  for (const Tensor& tensor : graph.tensors)
    if (tensor.kind == TensorKind::cache) return tensor.dim[1];
  return kDefaultPageTokens;
}

// The keys (or values) of a page of one layer: (tokens, kv_heads, head_dim).
struct KvPage {
  DType dtype;
  uint32_t tokens, kv_heads, head_dim;

  // The elements, and for i8 one f16 scale for each head and token after them.
  uint64_t bytes() const {
    const uint64_t heads = uint64_t{tokens} * kv_heads;
    switch (dtype) {
      case DType::f32:
        return heads * head_dim * 4;
      case DType::i8:
        return heads * head_dim + heads * 2;
      default:
        return heads * head_dim * 2;
    }
  }
};

inline KvPage kv_page_of(const Tensor& cache) {
  return {cache.dtype, cache.dim[1], cache.dim[2], cache.dim[3]};
}

}  // namespace ropewalk::abi
