#include "core/checkpoint/weights/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/checkpoint/refuse.h"
#include "core/checkpoint/weights/columns.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/gptq.h"
#include "core/checkpoint/weights/weight_room.h"

namespace ropewalk {
namespace {

std::vector<std::byte> read_bytes(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  checkpoint.read(tensor, bytes);
  return bytes;
}

// Throws with the count and first index in the whole tensor.
[[noreturn]] void refuse_values(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  constexpr uint64_t kBytesAtOnce = 1 << 20;
  NonFinite all;
  std::vector<std::byte> bytes(std::min(kBytesAtOnce, tensor.bytes));
  for (uint64_t at = 0; at < tensor.bytes; at += bytes.size()) {
    bytes.resize(std::min<uint64_t>(bytes.size(), tensor.bytes - at));
    checkpoint.read_from(tensor, at, bytes);
    const NonFinite found = count_non_finite(tensor.type, bytes);
    if (all.count == 0 && found.count > 0) all.first = at / stored_size(tensor.type) + found.first;
    all.count += found.count;
  }
  refuse(place_of(checkpoint, tensor),
         fmt::format("holds {} values that are NaN or infinite, the first at index {}, expected "
                     "none",
                     all.count, all.first),
         kDownloadAgain);
}

// `bytes` are some of the tensor's.
void expect_finite(const Checkpoint& checkpoint, const TensorInfo& tensor,
                   std::span<const std::byte> bytes) {
  if (count_non_finite(tensor.type, bytes).count > 0) refuse_values(checkpoint, tensor);
}

// Empty where there is none, where its size is zero, or where all of it is.
std::vector<float> read_bias(const Checkpoint& checkpoint, const std::string& prefix,
                             uint32_t cols) {
  const TensorInfo* tensor = checkpoint.find(prefix + ".bias");
  if (!tensor || tensor->bytes == 0) return {};
  dense_type(checkpoint, *tensor);
  expect_tensor(checkpoint, *tensor, tensor->type, std::array{uint64_t{cols}});
  const std::vector<std::byte> bytes = read_bytes(checkpoint, *tensor);
  expect_finite(checkpoint, *tensor, bytes);
  std::vector<float> values = to_floats(tensor->type, bytes);
  // AutoGPTQ writes zeros for layers that have no bias.
  const bool zero = std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
  return zero ? std::vector<float>{} : values;
}

// bf16 has a wider range than f16, so only f32 holds every value of it.
abi::DType laid_out_scales(StoredType stored) {
  return stored == StoredType::f16 ? abi::DType::f16 : abi::DType::f32;
}

void read_scales(const Checkpoint& checkpoint, const TensorInfo& scales, const Columns& columns,
                 std::span<std::byte> to) {
  const auto read = [&](std::span<std::byte> out) {
    read_columns(checkpoint, scales, columns, out);
    expect_finite(checkpoint, scales, out);
  };
  if (scales.type != StoredType::bf16) return read(to);
  std::vector<std::byte> stored(to.size() / 2);
  read(stored);
  const std::vector<float> values = to_floats(scales.type, stored);
  std::memcpy(to.data(), values.data(), to.size());
}

abi::Weight load_packed(const Checkpoint& checkpoint, const LinearInfo& info,
                        ZeroPoints zero_points, const Columns& columns, std::span<std::byte> room) {
  const auto part = [&](const char* name) -> const TensorInfo& {
    return checkpoint.get(info.prefix + name);
  };
  abi::Weight weight = linear_shape(info);
  weight.zero_offset = zero_points == ZeroPoints::v1 ? 1 : 0;
  weight.row_order = info.row_order;
  const Columns read = set_columns(weight, info.cols, columns);
  const WeightRoom to = lay_out(weight, room);
  read_columns(checkpoint, part(".qweight"), read, std::as_writable_bytes(to.qweight));
  read_code_columns(checkpoint, part(".qzeros"), info.bits, read, to.qzeros);
  read_scales(checkpoint, part(".scales"), read, to.scales);
  return weight;
}

abi::Weight load_dense(const Checkpoint& checkpoint, const TensorInfo& tensor, uint32_t rows,
                       const Columns& columns, std::span<std::byte> room) {
  abi::Weight weight;
  weight.rows = rows;
  weight.dtype = dense_type(checkpoint, tensor);
  const Columns read = set_columns(weight, static_cast<uint32_t>(tensor.shape[0]), columns);
  read_rows(checkpoint, tensor, read, lay_out(weight, room).dense);
  return weight;
}

std::vector<float> permuted(std::vector<float> values, std::span<const uint32_t> order) {
  if (order.empty()) return values;
  std::vector<float> out(values.size());
  for (size_t n = 0; n < out.size(); ++n) out[n] = values[order[n]];
  return out;
}

}  // namespace

abi::DType dense_type(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  switch (tensor.type) {
    case StoredType::f32:
      return abi::DType::f32;
    case StoredType::f16:
      return abi::DType::f16;
    case StoredType::bf16:
      return abi::DType::bf16;
    default:
      refuse(place_of(checkpoint, tensor),
             fmt::format("found type {}, expected F16, BF16 or F32", stored_name(tensor.type)),
             "Save the model in one of these types");
  }
}

Columns set_columns(abi::Weight& weight, uint32_t cols, const Columns& columns) {
  weight.cols = columns.count;
  weight.first_column = columns.first;
  weight.of_cols = cols;
  if (columns.count < cols) return columns;
  weight.column_order = columns.order;
  return {0, cols, {}};
}

abi::Weight linear_shape(const LinearInfo& info) {
  abi::Weight weight;
  weight.rows = info.rows;
  weight.cols = info.cols;
  weight.dtype = info.quantized ? abi::DType::gptq : info.dense_type;
  weight.bits = info.bits;
  weight.group_size = info.group_size;
  weight.scale_dtype = info.scale_dtype;
  return weight;
}

LinearInfo describe_linear(const Checkpoint& checkpoint, std::string_view prefix, uint32_t rows,
                           uint32_t cols) {
  LinearInfo info;
  info.prefix = std::string(prefix);
  info.rows = rows;
  info.cols = cols;
  // Any part tells a quantised layer, so that one without its qweight is named as such.
  for (const char* part : {".qweight", ".qzeros", ".scales"})
    info.quantized = info.quantized || checkpoint.find(info.prefix + part);
  if (info.quantized) {
    const GptqShape shape = gptq_shape(checkpoint, info.prefix, rows, cols);
    info.bits = shape.bits;
    info.group_size = shape.group_size;
    info.scale_dtype = laid_out_scales(checkpoint.get(info.prefix + ".scales").type);
    info.row_order = gptq_row_order(checkpoint, info.prefix, rows, shape);
  } else {
    const TensorInfo& tensor = checkpoint.get(info.prefix + ".weight");
    info.dense_type = dense_type(checkpoint, tensor);
    expect_tensor(checkpoint, tensor, tensor.type, std::array{uint64_t{cols}, uint64_t{rows}});
  }
  info.has_bias = !read_bias(checkpoint, info.prefix, cols).empty();
  return info;
}

abi::Weight load_linear(const Checkpoint& checkpoint, const LinearInfo& info,
                        ZeroPoints zero_points, const Columns& columns, std::span<std::byte> room) {
  if (info.quantized) return load_packed(checkpoint, info, zero_points, columns, room);
  return load_dense(checkpoint, checkpoint.get(info.prefix + ".weight"), info.rows, columns, room);
}

std::vector<float> load_bias(const Checkpoint& checkpoint, const LinearInfo& info,
                             std::span<const uint32_t> column_order) {
  if (!info.has_bias) return {};
  return permuted(read_bias(checkpoint, info.prefix, info.cols), column_order);
}

std::vector<float> load_vector(const Checkpoint& checkpoint, std::string_view name, uint32_t size) {
  const TensorInfo& tensor = checkpoint.get(name);
  dense_type(checkpoint, tensor);
  expect_tensor(checkpoint, tensor, tensor.type, std::array{uint64_t{size}});
  const std::vector<std::byte> bytes = read_bytes(checkpoint, tensor);
  expect_finite(checkpoint, tensor, bytes);
  return to_floats(tensor.type, bytes);
}

abi::Weight load_table(const Checkpoint& checkpoint, const TableInfo& info, const Columns& tokens,
                       std::span<std::byte> room) {
  const TensorInfo& tensor = checkpoint.get(info.name);
  dense_type(checkpoint, tensor);
  expect_tensor(checkpoint, tensor, tensor.type,
                std::array{uint64_t{info.vocab}, uint64_t{info.hidden}});
  abi::Weight weight = load_dense(checkpoint, tensor, info.hidden, tokens, room);
  weight.use = abi::WeightUse::embed;
  expect_finite(checkpoint, tensor, weight.dense);
  return weight;
}

}  // namespace ropewalk
