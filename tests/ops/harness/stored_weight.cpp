#include "tests/ops/harness/stored_weight.h"

#include <algorithm>
#include <cstring>

#include "tests/ops/harness/half.h"

namespace ropewalk::test {
namespace {

using abi::DType;

// Bit by bit, as the drawing in core/abi/weight.h has it.
uint32_t code_at(const std::vector<uint32_t>& words, uint64_t first, uint64_t stride, uint32_t bits,
                 uint64_t index) {
  uint32_t code = 0;
  for (uint32_t b = 0; b < bits; ++b) {
    const uint64_t bit = index * bits + b;
    code |= (words[first + bit / 32 * stride] >> bit % 32 & 1u) << b;
  }
  return code;
}

template <class Element>
Element element_at(const std::vector<std::byte>& bytes, uint64_t index) {
  Element element;
  std::memcpy(&element, bytes.data() + index * sizeof(Element), sizeof(Element));
  return element;
}

double value_at(const std::vector<std::byte>& bytes, DType dtype, uint64_t index) {
  if (dtype == DType::f32) return static_cast<double>(element_at<float>(bytes, index));
  const uint16_t half = element_at<uint16_t>(bytes, index);
  return dtype == DType::f16 ? f16_value(half) : bf16_value(half);
}

void append(std::vector<std::byte>& bytes, DType dtype, double value) {
  const float wide = static_cast<float>(value);
  const uint16_t half = dtype == DType::f16 ? f16_bits(value) : bf16_bits(value);
  const size_t size = dtype == DType::f32 ? 4 : 2;
  const void* from = dtype == DType::f32 ? static_cast<const void*>(&wide) : &half;
  bytes.resize(bytes.size() + size);
  std::memcpy(bytes.data() + bytes.size() - size, from, size);
}

// Sets `bits` bits of the stream whose words lie from words[first] on.
void set_code(std::vector<uint32_t>& words, uint64_t first, uint32_t bits, uint64_t index,
              uint32_t code) {
  for (uint32_t b = 0; b < bits; ++b) {
    const uint64_t bit = index * bits + b;
    words[first + bit / 32] |= (code >> b & 1u) << bit % 32;
  }
}

// Elements [from, from + count) of `size` bytes.
void append_elements(std::vector<std::byte>& to, const std::vector<std::byte>& bytes, uint64_t from,
                     uint64_t count, uint64_t size) {
  const auto begin = bytes.begin() + static_cast<ptrdiff_t>(from * size);
  to.insert(to.end(), begin, begin + static_cast<ptrdiff_t>(count * size));
}

uint64_t stored_element_bytes(DType dtype) { return dtype == DType::f32 ? 4 : 2; }

StoredWeight part_of(const StoredWeight& whole, uint32_t first, uint32_t count) {
  const abi::Weight& w = whole.shape;
  StoredWeight part;
  part.shape = w;
  part.shape.cols = count;
  part.shape.first_column = first;
  part.shape.of_cols = w.cols;
  part.row_order = whole.row_order;
  const auto stored = [&](uint32_t i) {
    return whole.column_order.empty() ? first + i : whole.column_order[first + i];
  };
  if (w.dtype != DType::gptq) {
    for (uint32_t i = 0; i < count; ++i)
      append_elements(part.dense, whole.dense, uint64_t{stored(i)} * w.rows, w.rows,
                      stored_element_bytes(w.dtype));
    return part;
  }
  for (uint64_t r = 0; r < whole.qweight.size() / w.cols; ++r)
    for (uint32_t i = 0; i < count; ++i)
      part.qweight.push_back(whole.qweight[r * w.cols + stored(i)]);
  const uint64_t from = (uint64_t{w.cols} * w.bits + 31) / 32;
  const uint64_t to = (uint64_t{count} * w.bits + 31) / 32;
  part.qzeros.resize(to * w.groups());
  for (uint64_t g = 0; g < w.groups(); ++g)
    for (uint32_t i = 0; i < count; ++i) {
      set_code(part.qzeros, g * to, w.bits, i,
               code_at(whole.qzeros, g * from, 1, w.bits, stored(i)));
      append_elements(part.scales, whole.scales, g * w.cols + stored(i), 1,
                      stored_element_bytes(w.scale_dtype));
    }
  return part;
}

}  // namespace

std::vector<StoredWeight> StoredWeight::parts() const {
  if (part_columns == 0) return {*this};
  std::vector<StoredWeight> parts;
  for (uint32_t first = 0; first < shape.cols; first += part_columns)
    parts.push_back(part_of(*this, first, std::min(part_columns, shape.cols - first)));
  return parts;
}

abi::Weight StoredWeight::view() const {
  abi::Weight weight = shape;
  weight.dense = dense;
  weight.scales = scales;
  weight.qweight = qweight;
  weight.qzeros = qzeros;
  weight.row_order = row_order;
  weight.column_order = column_order;
  return weight;
}

double StoredWeight::at(uint32_t k, uint32_t n) const {
  const uint64_t row = row_order.empty() ? k : row_order[k];
  const uint64_t column = column_order.empty() ? n : column_order[n];
  if (shape.dtype != DType::gptq) return value_at(dense, shape.dtype, column * shape.rows + row);
  const uint64_t group = k / shape.group_size;
  const uint64_t zero_words = (uint64_t{shape.cols} * shape.bits + 31) / 32;
  const double code = code_at(qweight, column, shape.cols, shape.bits, row);
  const double zero = code_at(qzeros, group * zero_words, 1, shape.bits, column);
  const double scale = value_at(scales, shape.scale_dtype, group * shape.cols + column);
  return scale * (code - (zero + shape.zero_offset));
}

StoredWeight random_dense(DType dtype, abi::WeightUse use, uint32_t rows, uint32_t cols,
                          Random& random) {
  StoredWeight weight;
  weight.shape.use = use;
  weight.shape.dtype = dtype;
  weight.shape.rows = rows;
  weight.shape.cols = cols;
  for (uint64_t i = 0; i < uint64_t{rows} * cols; ++i)
    append(weight.dense, dtype, static_cast<double>(random.value()) * 1.37);
  return weight;
}

StoredWeight random_gptq(const GptqShape& shape, Random& random) {
  StoredWeight weight;
  weight.shape.dtype = DType::gptq;
  weight.shape.rows = shape.rows;
  weight.shape.cols = shape.cols;
  weight.shape.bits = shape.bits;
  weight.shape.group_size = shape.group_size;
  weight.shape.zero_offset = shape.zero_offset;
  weight.shape.scale_dtype = shape.scale_dtype;
  const uint32_t groups = weight.shape.groups();
  weight.qweight.resize((uint64_t{shape.rows} * shape.bits + 31) / 32 * shape.cols);
  weight.qzeros.resize((uint64_t{shape.cols} * shape.bits + 31) / 32 * groups);
  for (uint32_t& word : weight.qweight) word = random.word();
  for (uint32_t& word : weight.qzeros) word = random.word();
  const double step = 1.0 / (1 << shape.bits);
  for (uint64_t i = 0; i < uint64_t{groups} * shape.cols; ++i)
    append(weight.scales, shape.scale_dtype, step * (1.5 + static_cast<double>(random.value())));
  return weight;
}

}  // namespace ropewalk::test
