#include <algorithm>
#include <cmath>

#include "backends/cpu/numeric.h"
#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

// Where one head of one token goes: elements `stride` apart.
struct Entry {
  std::byte* page;
  uint64_t element;  // index of the first in the page
  uint64_t stride;
  uint64_t scale;  // i8: index among the scales behind the page's elements
};

void store_i8(const float* x, uint32_t count, const Entry& entry, std::byte* scales) {
  // max over the head
  float head_max = 0;
  bool finite = true;
  for (uint32_t i = 0; i < count; ++i) {
    head_max = std::max(head_max, std::fabs(x[i]));
    finite = finite && std::isfinite(x[i]);
  }
  // quantise
  auto* codes = reinterpret_cast<int8_t*>(entry.page) + entry.element;
  for (uint32_t i = 0; i < count; ++i)
    codes[i * entry.stride] = head_max > 0 && finite
                                  ? static_cast<int8_t>(std::nearbyint(x[i] * 127.0f / head_max))
                                  : int8_t{0};
  // A code cannot be NaN, but the scale can: a NaN activation then shows in the logits.
  reinterpret_cast<uint16_t*>(scales)[entry.scale] = f16_of_f32(finite ? head_max / 127.0f : NAN);
}

void store_head(const float* x, const Cache& cache, const Entry& entry) {
  if (cache.dtype == abi::DType::f32) {
    auto* to = reinterpret_cast<float*>(entry.page) + entry.element;
    for (uint32_t i = 0; i < cache.head_dim; ++i) to[i * entry.stride] = x[i];
  } else if (cache.dtype == abi::DType::f16) {
    auto* to = reinterpret_cast<uint16_t*>(entry.page) + entry.element;
    for (uint32_t i = 0; i < cache.head_dim; ++i) to[i * entry.stride] = f16_of_f32(x[i]);
  } else {
    const uint64_t codes = uint64_t{cache.kv_heads} * cache.page_tokens * cache.head_dim;
    store_i8(x, cache.head_dim, entry, entry.page + codes);
  }
}

}  // namespace

// Row r's keys and values become entry position % T of page[position / T], for pages of T tokens.
void kv_append(const KvAppend& op, const Frame& frame) noexcept {
  const uint32_t rows = frame.step.rows, d = op.keys.head_dim, heads = op.keys.kv_heads;
  const uint64_t tokens = op.keys.page_tokens;
  frame.pool.run(heads, 3.0 * rows * heads * d, [&](uint32_t head, uint32_t) noexcept {
    for (uint32_t r = 0; r < rows; ++r) {
      const uint32_t position = frame.step.position[r];
      const uint64_t page = frame.page(frame.step.sequence[r], position);
      const uint64_t token = position % tokens, scale = head * tokens + token;
      const uint64_t from = (uint64_t{r} * heads + head) * d;
      store_head(
          op.k + from, op.keys,
          {op.keys.data + page * op.keys.page_bytes(), head * tokens * d + token, tokens, scale});
      store_head(op.v + from, op.values,
                 {op.values.data + page * op.values.page_bytes(), scale * d, 1, scale});
    }
  });
}

}  // namespace ropewalk::cpu
