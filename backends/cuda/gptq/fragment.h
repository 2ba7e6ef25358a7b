// fragment.h — what one thread of packing writes, as functions that the host's tests run too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

enum class ScaleType : uint32_t { f16, f32 };

// A weight as stored (core/abi/weight.h). All pointers are of the host, or all of the device.
struct Stored {
  const uint32_t* qweight;
  const uint32_t* qzeros;
  const std::byte* scales;
  const uint32_t* row_order;     // or null: as stored
  const uint32_t* column_order;  // or null
  ScaleType scale_type;
  uint32_t zero_offset;
};

inline constexpr uint32_t kMaxBits = 8;

// Code `index` of the bit stream words[0], words[stride], ...: gptq_code() of core/abi/weight.h.
RW_HOST_DEVICE uint32_t stored_code(const uint32_t* words, uint64_t stride, uint32_t bits,
                                    uint64_t index) {
  const uint64_t bit = index * bits;
  const uint32_t shift = static_cast<uint32_t>(bit % 32);
  uint64_t window = words[bit / 32 * stride];
  if (shift + bits > 32) window |= uint64_t{words[(bit / 32 + 1) * stride]} << 32;
  return static_cast<uint32_t>(window >> shift) & ((1u << bits) - 1);
}

RW_HOST_DEVICE uint32_t stored_column(const Stored& from, uint32_t column) {
  return from.column_order ? from.column_order[column] : column;
}

// An integer of at most 2048 as f16: exact.
RW_HOST_DEVICE uint32_t half_of_integer(uint32_t value) {
  if (value == 0) return 0;
  uint32_t exponent = 0;
  while (value >> (exponent + 1)) ++exponent;
  return (exponent + 15) << 10 | ((value << 10 >> exponent) & 0x3ffu);
}

// A lane's words of a block; padding is 0.
RW_HOST_DEVICE void lane_fragment(const Stored& from, const Layout& l, uint32_t tile,
                                  uint32_t block, uint32_t lane, uint32_t (&words)[kMaxBits]) {
  for (uint32_t& word : words) word = 0;
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    const uint32_t n = tile * kTileColumns + column_of(lane, j);
    if (n >= l.cols) continue;
    const uint32_t* column = from.qweight + stored_column(from, n);
    for (uint32_t i = 0; i < kLaneRows; ++i) {
      if (row_of(lane, i) >= rows_of_block(l, block)) continue;
      const uint32_t k = first_row(l, block) + row_of(lane, i);
      const uint64_t code =
          stored_code(column, l.cols, l.bits, from.row_order ? from.row_order[k] : k);
      const uint32_t bit = code_bit(l.bits, j, i);
      words[bit / 32] |= static_cast<uint32_t>(code << bit % 32);
      if (bit % 32 + l.bits > 32)
        words[bit / 32 + 1] |= static_cast<uint32_t>(code >> (32 - bit % 32));
    }
  }
}

RW_HOST_DEVICE uint32_t stored_zero(const Stored& from, const Layout& l, uint32_t group,
                                    uint32_t stored_n) {
  const uint64_t words = (uint64_t{l.cols} * l.bits + 31) / 32;
  return stored_code(from.qzeros + group * words, 1, l.bits, stored_n);
}

// The header of a column of a group: header_words words with scale and zero; 0 for padding.
RW_HOST_DEVICE void column_header(const Stored& from, const Layout& l, uint32_t column,
                                  uint32_t group, uint32_t (&words)[2]) {
  words[0] = words[1] = 0;
  if (column >= l.cols) return;
  const uint32_t n = stored_column(from, column);
  const uint32_t zero = stored_zero(from, l, group, n) + from.zero_offset;
  const uint64_t at = uint64_t{group} * l.cols + n;
  if (from.scale_type == ScaleType::f32) {
    words[0] = reinterpret_cast<const uint32_t*>(from.scales)[at];
    const float value = static_cast<float>(zero);
    memcpy(&words[1], &value, sizeof value);
  } else {
    words[0] = reinterpret_cast<const uint16_t*>(from.scales)[at] | half_of_integer(zero) << 16;
  }
}

// A lane's fragment of a small header: the scales of its columns, two words, then their zeros, 16
// bits; 0 for padding.
RW_HOST_DEVICE void small_header_fragment(const Stored& from, const Layout& l, uint32_t tile,
                                          uint32_t group, uint32_t lane, uint32_t (&words)[3]) {
  words[0] = words[1] = words[2] = 0;
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    const uint32_t in_tile = column_of(lane, j), column = tile * kTileColumns + in_tile;
    if (column >= l.cols) continue;
    const uint32_t n = stored_column(from, column);
    const uint64_t at = uint64_t{group} * l.cols + n;
    const uint32_t scale = reinterpret_cast<const uint16_t*>(from.scales)[at];
    words[j / 2] |= scale << j % 2 * 16;
    words[2] |= stored_zero(from, l, group, n) << small_zero_bit(in_tile) % 16;
  }
}

}  // namespace ropewalk::cuda::gptq
