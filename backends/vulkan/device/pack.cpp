#include "backends/vulkan/device/pack.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "backends/vulkan/device/f16.h"
#include "backends/vulkan/device/parallel.h"
#include "core/abi/guard.h"
#include "core/abi/operands.h"
#include "core/abi/workspace.h"

namespace ropewalk::vulkan {
namespace {

using abi::DType;
using abi::WeightUse;

uint64_t align(uint64_t bytes) { return abi::align_up(bytes, 256); }

// The type of an element as shaders name it: 2, 3, 4 or 8 bits of a code, 16: f16, 17: bf16, 32:
// f32.
uint32_t kind_of(const abi::Weight& w) {
  if (w.dtype == DType::gptq) return w.bits;
  return w.dtype == DType::f32 ? 32 : w.dtype == DType::bf16 ? 17 : 16;
}

// Contiguous words of a column: what an invocation loads at once.
uint32_t unit_words(const PackedShape& shape) {
  return shape.block_words % 4 ? shape.block_words : 4;
}

// The zero of all groups and columns, without its offset, where that is one number. Zeros of a part
// say nothing about those of the other parts.
std::optional<uint32_t> constant_zero(const abi::Weight& w) {
  const bool whole_words = w.bits == 4 && w.cols % 8 == 0;
  if (w.qzeros.empty() || w.whole_cols() != w.cols || !whole_words) return std::nullopt;
  const uint32_t first = abi::gptq_code(w.qzeros.data(), 1, w.bits, 0);
  const auto is_constant = [first](uint32_t word) { return word == first * 0x11111111u; };
  return std::ranges::all_of(w.qzeros, is_constant) ? std::optional(first) : std::nullopt;
}

uint32_t stored_column(const abi::Weight& w, size_t n) {
  return w.column_order.empty() ? static_cast<uint32_t>(n) : w.column_order[n];
}

// Writes one block of all columns of `weight`, which may be a part of the whole, as it lies in
// memory.
class BlockWriter {
 public:
  BlockWriter(const abi::Weight& weight, const PackedShape& shape)
      : w_(weight), shape_(shape), unit_(unit_words(shape)) {}

  void write(uint32_t block, uint32_t* to) const {
    const uint32_t in_group = block % shape_.blocks_per_group * kBlock;
    const uint32_t first = block / shape_.blocks_per_group * shape_.group_size + in_group;
    const uint32_t count = std::min({kBlock, shape_.group_size - in_group, shape_.rows - first});
    std::fill_n(to, uint64_t{shape_.block_words} * w_.cols, 0u);
    for (uint32_t k = 0; k < count; ++k) {
      const uint32_t row = w_.row_order.empty() ? first + k : w_.row_order[first + k];
      if (shape_.quantised())
        write_codes(row, k, to);
      else if (shape_.dtype == DType::f32)
        write_dense<uint32_t>(row, k, to);
      else
        write_dense<uint16_t>(row, k, to);
    }
  }

 private:
  // The place of word `word` of column 0; the next column's is `unit_` words later.
  uint64_t word_at(uint32_t word) const {
    return uint64_t{word / unit_} * unit_ * w_.cols + word % unit_;
  }
  void write_codes(uint32_t row, uint32_t k, uint32_t* to) const {
    const uint32_t bits = shape_.bits, bit = bits * k, shift = bit % 32;
    uint32_t* low = to + word_at(bit / 32);
    uint32_t* high = shift + bits > 32 ? to + word_at(bit / 32 + 1) : nullptr;
    for (uint32_t n = 0; n < w_.cols; ++n) {
      const uint32_t code =
          abi::gptq_code(w_.qweight.data() + stored_column(w_, n), w_.cols, bits, row);
      low[uint64_t{n} * unit_] |= code << shift;
      if (high) high[uint64_t{n} * unit_] |= code >> (32 - shift);
    }
  }

  template <class Element>
  void write_dense(uint32_t row, uint32_t k, uint32_t* to) const {
    const auto* from = reinterpret_cast<const Element*>(w_.dense.data());
    constexpr uint32_t kInWord = 4 / sizeof(Element);
    uint32_t* at = to + word_at(k / kInWord);
    for (uint32_t n = 0; n < w_.cols; ++n) {
      const uint32_t element = from[uint64_t{stored_column(w_, n)} * w_.rows + row];
      at[uint64_t{n} * unit_] |= element << (k % kInWord * 16);
    }
  }

  const abi::Weight& w_;
  const PackedShape& shape_;
  const uint32_t unit_;
};

// Writes the f16 scales of two groups, or of the last one, from `first` on, of all columns.
void write_paired_scales(const abi::Weight& w, uint32_t first, uint32_t* to) {
  std::fill_n(to, w.cols, 0u);
  for (uint32_t g = first; g < std::min(first + 2, static_cast<uint32_t>(w.groups())); ++g)
    for (size_t n = 0; n < w.cols; ++n) {
      uint16_t scale = 0;
      std::memcpy(&scale, w.scales.data() + 2 * (uint64_t{g} * w.cols + stored_column(w, n)), 2);
      to[n] |= uint32_t{scale} << ((g - first) * 16);
    }
}

// Writes the scales and packed zeros of the eight groups from `first` on, of all columns.
void write_packed_scales(const abi::Weight& w, uint32_t first, uint32_t* to) {
  const uint64_t zero_words = (uint64_t{w.cols} * w.bits + 31) / 32;
  for (uint32_t g = 0; g < kPackedGroups; g += 2)
    write_paired_scales(w, first + g, to + uint64_t{g / 2} * w.cols);
  uint32_t* zeros = to + uint64_t{kPackedWords - 1} * w.cols;
  std::fill_n(zeros, w.cols, 0u);
  const uint32_t count = std::min(kPackedGroups, static_cast<uint32_t>(w.groups()) - first);
  for (uint32_t g = 0; g < count; ++g)
    for (size_t n = 0; n < w.cols; ++n)
      zeros[n] |=
          abi::gptq_code(w.qzeros.data() + (first + g) * zero_words, 1, w.bits, stored_column(w, n))
          << (4 * g);
}

// Writes the scales and zeros of a group, of all columns.
void write_scales(const abi::Weight& w, uint32_t group, uint32_t* to) {
  const uint64_t zero_words = (uint64_t{w.cols} * w.bits + 31) / 32;
  for (size_t n = 0; n < w.cols; ++n) {
    const uint32_t column = stored_column(w, n);
    const uint32_t zero =
        abi::gptq_code(w.qzeros.data() + group * zero_words, 1, w.bits, column) + w.zero_offset;
    const uint64_t at = uint64_t{group} * w.cols + column;
    if (w.scale_dtype == DType::f32) {
      std::memcpy(to + 2 * n, w.scales.data() + 4 * at, 4);
      const float value = static_cast<float>(zero);
      std::memcpy(to + 2 * n + 1, &value, 4);
    } else {
      uint16_t scale = 0;
      std::memcpy(&scale, w.scales.data() + 2 * at, 2);
      to[n] = scale | uint32_t{f16_of_integer(zero)} << 16;
    }
  }
}

// A part of a packed weight: `items` items of `words` words per column, which begin at offset
// `begin` of a slice. A part of a weight writes the columns from `first_column` on; `unit` words of
// a column are contiguous.
struct Area {
  abi::Slice to;
  uint64_t begin;
  uint64_t items, words;
  uint32_t unit, columns, first_column;
};

// Writes whole items, as many at once as staging holds; write(item, words) fills the `cols` columns
// of one.
template <class Write>
void write_items(Memory& memory, const Area& area, uint32_t cols, const Write& write) {
  const uint64_t strips = area.words / area.unit;  // of an item, each of all columns' units
  const uint64_t strip_bytes = uint64_t{area.unit} * cols * 4;
  const uint64_t stride = uint64_t{area.unit} * area.columns * 4;
  const uint64_t item_bytes = strips * strip_bytes;
  const uint64_t at_once = std::max<uint64_t>(Memory::kStagingBytes / item_bytes, 1);
  std::vector<std::byte> piece(std::min(at_once, area.items) * item_bytes);
  for (uint64_t first = 0; first < area.items; first += at_once) {
    const uint64_t items = std::min(at_once, area.items - first);
    parallel_for(items, items * item_bytes, [&](uint64_t i) {
      write(static_cast<uint32_t>(first + i),
            reinterpret_cast<uint32_t*>(piece.data() + i * item_bytes));
    });
    const uint64_t from =
        area.begin + first * strips * stride + uint64_t{area.first_column} * area.unit * 4;
    memory.write_strips({area.to.buffer, area.to.offset + from, 0}, {strip_bytes, stride},
                        std::span(piece).first(items * item_bytes));
  }
}

}  // namespace

PackedShape packed_shape(const abi::Weight& w, Zeros zeros) {
  PackedShape shape{};
  shape.use = w.use;
  shape.dtype = w.dtype;
  shape.scale_dtype = w.scale_dtype;
  shape.rows = w.rows;
  shape.cols = w.whole_cols();
  shape.bits = kind_of(w);
  if (w.use == WeightUse::embed && w.dtype != DType::gptq) {
    shape.bytes = align(uint64_t{w.rows} * shape.cols * element_bytes(w.dtype));
    return shape;
  }
  shape.group_size = shape.quantised() ? w.group_size : w.rows;
  shape.block_words = shape.bits == 17 ? 16 : shape.bits;
  shape.blocks_per_group = (shape.group_size + kBlock - 1) / kBlock;
  const uint32_t groups = (w.rows + shape.group_size - 1) / shape.group_size;
  const uint32_t rows_of_last = w.rows - (groups - 1) * shape.group_size;
  shape.blocks = (groups - 1) * shape.blocks_per_group + (rows_of_last + kBlock - 1) / kBlock;
  shape.scales_at = align(uint64_t{shape.blocks} * shape.block_words * shape.cols * 4);
  if (shape.quantised() && shape.bits == 4 && w.scale_dtype == DType::f16) shape.zeros = zeros;
  shape.zero_offset = w.zero_offset;
  uint64_t scale_words = 0;  // of a column
  if (shape.zeros == Zeros::packed)
    scale_words = (groups + kPackedGroups - 1) / kPackedGroups * kPackedWords;
  else if (shape.quantised())
    scale_words = groups * (w.scale_dtype == DType::f32 ? 2 : 1);
  shape.bytes = align(shape.scales_at + scale_words * shape.cols * 4);
  if (const auto zero = constant_zero(w); zero && shape.zeros == Zeros::packed) {
    shape.zeros = Zeros::constant;
    shape.zero = *zero + w.zero_offset;
  }
  return shape;
}

void pack(const abi::Weight& w, const PackedShape& shape, const abi::Slice& to, Memory& memory) {
  if (to.bytes < shape.bytes)
    throw abi::Failure(abi::StatusCode::invalid_argument, "weight: the place for it is too small");
  if (w.use == WeightUse::embed) {
    const uint64_t row_bytes = w.rows * element_bytes(w.dtype), bytes = w.cols * row_bytes;
    memory.write({to.buffer, to.offset + w.first_column * row_bytes, bytes}, w.dense.first(bytes));
    return;
  }
  const BlockWriter writer(w, shape);
  Area area{to, 0, shape.blocks, shape.block_words, unit_words(shape), shape.cols, w.first_column};
  write_items(memory, area, w.cols,
              [&](uint32_t block, uint32_t* words) { writer.write(block, words); });
  if (!shape.quantised()) return;
  area.begin = shape.scales_at;
  area.unit = 1;
  if (shape.zeros == Zeros::packed) {
    area.items = (w.groups() + kPackedGroups - 1) / kPackedGroups;
    area.words = kPackedWords;
    return write_items(memory, area, w.cols, [&](uint32_t item, uint32_t* words) {
      write_packed_scales(w, item * kPackedGroups, words);
    });
  }
  if (shape.zeros == Zeros::constant) {
    area.items = (w.groups() + 1) / 2;
    area.words = 1;
    return write_items(memory, area, w.cols, [&](uint32_t item, uint32_t* words) {
      write_paired_scales(w, item * 2, words);
    });
  }
  area.items = w.groups();
  area.words = area.unit = w.scale_dtype == DType::f32 ? 2 : 1;
  write_items(memory, area, w.cols,
              [&](uint32_t group, uint32_t* words) { write_scales(w, group, words); });
}

}  // namespace ropewalk::vulkan
