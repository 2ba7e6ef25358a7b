#include "backends/cpu/pack.h"

#include <algorithm>
#include <cstring>

#include "core/abi/guard.h"
#include "core/abi/operands.h"
#include "core/abi/workspace.h"

namespace ropewalk::cpu {
namespace {

using abi::DType;
using abi::WeightUse;

// The stored columns of a panel: 32 indices, fewer in the last panel.
struct PanelColumns {
  uint32_t index[kPanel];
  uint32_t count;
};

// `panel` counts from the weight's first column on.
PanelColumns columns_of(const abi::Weight& w, uint32_t panel) {
  PanelColumns columns;
  columns.count = std::min(kPanel, w.cols - panel * kPanel);
  for (uint32_t n = 0; n < columns.count; ++n) {
    const uint32_t column = panel * kPanel + n;
    columns.index[n] = w.column_order.empty() ? column : w.column_order[column];
  }
  return columns;
}

template <class Element>
void pack_dense_panel(const abi::Weight& w, uint32_t panel, std::byte* to) {
  const PanelColumns columns = columns_of(w, panel);
  const auto* from = reinterpret_cast<const Element*>(w.dense.data());
  auto* out = reinterpret_cast<Element*>(to);
  for (uint32_t k = 0; k < w.rows; ++k, out += kPanel) {
    const uint32_t row = w.row_order.empty() ? k : w.row_order[k];
    for (uint32_t n = 0; n < kPanel; ++n)
      out[n] = n < columns.count ? from[uint64_t{columns.index[n]} * w.rows + row] : Element{};
  }
}

template <class Element>
void pack_scales(const abi::Weight& w, uint32_t group, const PanelColumns& columns, std::byte* to) {
  const auto* from = reinterpret_cast<const Element*>(w.scales.data()) + uint64_t{group} * w.cols;
  auto* out = reinterpret_cast<Element*>(to);
  for (uint32_t n = 0; n < kPanel; ++n)
    out[n] = n < columns.count ? from[columns.index[n]] : Element{};
}

template <class Element>
void pack_zeros(const abi::Weight& w, uint32_t group, const PanelColumns& columns, std::byte* to) {
  const uint64_t words = (uint64_t{w.cols} * w.bits + 31) / 32;
  auto* out = reinterpret_cast<Element*>(to);
  for (uint32_t n = 0; n < kPanel; ++n)
    out[n] =
        static_cast<Element>(n < columns.count ? abi::gptq_code(w.qzeros.data() + group * words, 1,
                                                                w.bits, columns.index[n]) +
                                                     w.zero_offset
                                               : 0);
}

// Rows [first, first + count) as one block: `bits` rows of 32 words.
void pack_block(const abi::Weight& w, uint32_t first, uint32_t count, const PanelColumns& columns,
                uint32_t* to) {
  std::fill_n(to, w.bits * kPanel, 0u);
  for (uint32_t k = 0; k < count; ++k) {
    const uint32_t row = w.row_order.empty() ? first + k : w.row_order[first + k];
    const uint32_t word = w.bits * k / 32, shift = code_shift(w.bits, k);
    const bool spans = shift + w.bits > 32;
    for (uint32_t n = 0; n < columns.count; ++n) {
      const uint32_t code =
          abi::gptq_code(w.qweight.data() + columns.index[n], w.cols, w.bits, row);
      to[word * kPanel + n] |= code << shift;
      if (spans) to[(word + 1) * kPanel + n] |= code >> (32 - shift);
    }
  }
}

void pack_gptq_panel(const abi::Weight& w, const PackedShape& shape, uint32_t panel,
                     std::byte* to) {
  const PanelColumns columns = columns_of(w, panel);
  for (uint32_t group = 0; group < shape.groups; ++group) {
    std::byte* at = to + group * shape.group_bytes;
    if (w.scale_dtype == DType::f32)
      pack_scales<uint32_t>(w, group, columns, at);
    else
      pack_scales<uint16_t>(w, group, columns, at);
    if (w.bits == 8)
      pack_zeros<uint16_t>(w, group, columns, at + shape.scale_bytes);
    else
      pack_zeros<uint8_t>(w, group, columns, at + shape.scale_bytes);
    auto* codes = reinterpret_cast<uint32_t*>(at + shape.scale_bytes + shape.zero_bytes);
    const uint32_t end = std::min(w.rows, (group + 1) * w.group_size);
    for (uint32_t row = group * w.group_size; row < end;
         row += kBlock, codes += size_t{w.bits} * kPanel)
      pack_block(w, row, std::min(kBlock, end - row), columns, codes);
  }
}

}  // namespace

PackedShape::PackedShape(const PackedHeader& h) {
  panels = (h.cols + kPanel - 1) / kPanel;
  groups = 0;
  scale_bytes = zero_bytes = group_bytes = 0;
  if (h.use == WeightUse::embed) {
    panels = 1;
    panel_bytes = uint64_t{h.rows} * h.cols * element_bytes(h.dtype);
  } else if (h.dtype != DType::gptq) {
    panel_bytes = uint64_t{h.rows} * kPanel * element_bytes(h.dtype);
  } else {
    const uint64_t block_bytes = uint64_t{h.bits} * kPanel * 4;
    groups = (h.rows + h.group_size - 1) / h.group_size;
    scale_bytes = uint64_t{kPanel} * (h.scale_dtype == DType::f32 ? 4 : 2);
    zero_bytes = uint64_t{kPanel} * (h.bits == 8 ? 2 : 1);
    group_bytes = scale_bytes + zero_bytes + blocks_of(h.group_size) * block_bytes;
    panel_bytes = groups * group_bytes;
  }
  total_bytes = abi::align_up(kHeaderBytes + panels * panel_bytes, 256);
}

PackedHeader packed_header(const abi::Weight& w) {
  const bool quantised = w.dtype == DType::gptq;
  return {kPackedMagic,
          w.rows,
          w.whole_cols(),
          quantised ? w.group_size : 0,
          w.use,
          w.dtype,
          quantised ? w.scale_dtype : w.dtype,
          quantised ? w.bits : uint8_t{0}};
}

void pack(const abi::Weight& w, std::span<std::byte> to, Pool& pool) {
  const PackedHeader header = packed_header(w);
  const PackedShape shape(header);
  if (to.size() < shape.total_bytes)
    throw abi::Failure(abi::StatusCode::invalid_argument, "weight: the place for it is too small");
  std::memcpy(to.data(), &header, sizeof header);

  std::byte* table = to.data() + kHeaderBytes;
  if (w.use == WeightUse::embed) {
    const uint64_t row_bytes = w.rows * element_bytes(w.dtype);
    std::memcpy(table + w.first_column * row_bytes, w.dense.data(), w.cols * row_bytes);
    return;
  }
  static_assert(abi::kPartColumns % kPanel == 0);
  std::byte* panels = table + w.first_column / kPanel * shape.panel_bytes;
  const double cost = static_cast<double>(w.rows) * w.cols;
  pool.run((w.cols + kPanel - 1) / kPanel, cost, [&](uint32_t panel, uint32_t) noexcept {
    std::byte* at = panels + panel * shape.panel_bytes;
    if (w.dtype == DType::gptq)
      pack_gptq_panel(w, shape, panel, at);
    else if (w.dtype == DType::f32)
      pack_dense_panel<uint32_t>(w, panel, at);
    else
      pack_dense_panel<uint16_t>(w, panel, at);
  });
}

}  // namespace ropewalk::cpu
