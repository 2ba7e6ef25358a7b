#include "core/checkpoint/weights/columns.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace ropewalk {
namespace {

// Rows that are read in one go where only some of their columns are wanted.
constexpr uint64_t kBytesAtOnce = 1 << 20;

bool is_all_of(uint64_t stored, const Columns& columns) {
  return columns.order.empty() && columns.count == stored;
}

template <class Element>
void gather_columns(const Columns& columns, const std::byte* from, std::byte* to) {
  for (uint32_t i = 0; i < columns.count; ++i, to += sizeof(Element))
    std::memcpy(to, from + uint64_t{columns.stored(i)} * sizeof(Element), sizeof(Element));
}

}  // namespace

void read_columns(const Checkpoint& checkpoint, const TensorInfo& tensor, const Columns& columns,
                  std::span<std::byte> out) {
  const uint64_t size = stored_size(tensor.type), rows = tensor.shape[0];
  const uint64_t stored_row = tensor.shape[1] * size, row = columns.count * size;
  if (is_all_of(tensor.shape[1], columns)) return checkpoint.read(tensor, out);
  if (columns.order.empty()) {
    for (uint64_t r = 0; r < rows; ++r)
      checkpoint.read_from(tensor, r * stored_row + columns.stored(0) * size,
                           out.subspan(r * row, row));
    return;
  }
  const uint64_t at_once = std::clamp<uint64_t>(kBytesAtOnce / stored_row, 1, rows);
  std::vector<std::byte> stored(at_once * stored_row);
  for (uint64_t first = 0; first < rows; first += at_once) {
    const uint64_t count = std::min(at_once, rows - first);
    checkpoint.read_from(tensor, first * stored_row, std::span(stored).first(count * stored_row));
    for (uint64_t r = 0; r < count; ++r) {
      const std::byte* from = stored.data() + r * stored_row;
      std::byte* to = out.data() + (first + r) * row;
      if (size == sizeof(uint32_t))
        gather_columns<uint32_t>(columns, from, to);
      else
        gather_columns<uint16_t>(columns, from, to);
    }
  }
}

void read_zero_columns(const Checkpoint& checkpoint, const TensorInfo& tensor,
                       const StoredZeros& zeros, const Columns& columns, std::span<uint32_t> out) {
  const uint64_t stored_row = tensor.shape[1], groups = tensor.shape[0];
  const uint32_t bits = zeros.bits;
  const auto settle = [&](std::span<uint32_t> words) {
    if (zeros.format == ZeroPoints::v1_borrowed) return_borrowed(words, stored_row, bits);
  };
  if (is_all_of(stored_row * 32 / bits, columns)) {
    checkpoint.read(tensor, std::as_writable_bytes(out));
    return settle(out);
  }
  const uint64_t row = (uint64_t{columns.count} * bits + 31) / 32;
  std::vector<uint32_t> stored(stored_row);
  std::fill(out.begin(), out.end(), 0u);
  for (uint64_t g = 0; g < groups; ++g) {
    checkpoint.read_from(tensor, g * stored_row * sizeof(uint32_t),
                         std::as_writable_bytes(std::span(stored)));
    settle(stored);
    for (uint32_t i = 0; i < columns.count; ++i) {
      const uint64_t code = abi::gptq_code(stored.data(), 1, bits, columns.stored(i));
      const uint64_t bit = uint64_t{i} * bits, word = g * row + bit / 32, shift = bit % 32;
      out[word] |= static_cast<uint32_t>(code << shift);
      if (shift + bits > 32) out[word + 1] |= static_cast<uint32_t>(code >> (32 - shift));
    }
  }
}

void read_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, const Columns& columns,
               std::span<std::byte> out) {
  const uint64_t row = tensor.shape[1] * stored_size(tensor.type);
  if (columns.order.empty())
    return checkpoint.read_from(tensor, columns.stored(0) * row, out.first(columns.count * row));
  for (uint32_t i = 0; i < columns.count; ++i)
    checkpoint.read_from(tensor, columns.stored(i) * row, out.subspan(i * row, row));
}

}  // namespace ropewalk
