// page_layout.h — where an entry of the key-value cache lies in its page, as functions of indices.
// An entry is one head of one token: head_dim elements and, for int8, their scale. A page has T
// tokens.
//
//   | head 0: token 0, token 1, .. T-1 | head 1: .. | .. | scales (kv_heads, T) f16 |
//                                                          '--- only of int8 --------'
#pragma once

#include <cstdint>

#include "backends/cuda/kernel/host_device.h"
#include "core/abi/kv_page.h"

namespace ropewalk::cuda {

struct PageLayout {
  uint32_t kv_heads, head_dim;
  uint32_t element_bytes;  // 2: f16; 1: int8, with scales
  uint32_t page_shift;     // T = 1 << page_shift
};

inline constexpr uint32_t kScaleBytes = 2;

RW_HOST_DEVICE uint64_t entries_of(const PageLayout& l) {
  return uint64_t{l.kv_heads} << l.page_shift;
}
RW_HOST_DEVICE uint64_t code_bytes(const PageLayout& l) {
  return entries_of(l) * l.head_dim * l.element_bytes;
}
RW_HOST_DEVICE uint64_t page_bytes(const PageLayout& l) {
  return code_bytes(l) + (l.element_bytes == 1 ? entries_of(l) * kScaleBytes : 0);
}

// Offsets in bytes from the start of the page. `position` counts from the start of the sequence.
RW_HOST_DEVICE uint64_t entry_in_page(const PageLayout& l, uint32_t head, uint32_t position) {
  return (uint64_t{head} << l.page_shift) + (position & ((1u << l.page_shift) - 1));
}
RW_HOST_DEVICE uint64_t elements_at(const PageLayout& l, uint32_t head, uint32_t position) {
  return entry_in_page(l, head, position) * l.head_dim * l.element_bytes;
}
RW_HOST_DEVICE uint64_t scale_at(const PageLayout& l, uint32_t head, uint32_t position) {
  return code_bytes(l) + entry_in_page(l, head, position) * kScaleBytes;
}

// Whether no kernel of this step writes the keys below `end` of a sequence. `keys` are those that
// a row sees, itself the last of them; the step has `rows` rows, perhaps all of this sequence.
RW_HOST_DEVICE bool known_before_step(uint32_t end, uint32_t keys, uint32_t rows) {
  return end + rows <= keys;
}

}  // namespace ropewalk::cuda
