#include "core/checkpoint/weights/checkpoint_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/base/log.h"
#include "core/checkpoint/refuse.h"
#include "core/checkpoint/weights/columns.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/gptq.h"
#include "core/checkpoint/weights/sizes.h"
#include "core/checkpoint/weights/weight_room.h"

namespace ropewalk {
namespace {

// Throws Error unless the tensor has this shape and is stored as f32, f16 or bf16.
abi::DType expect_dense(const Checkpoint& checkpoint, const TensorInfo& tensor,
                        std::span<const uint64_t> shape) {
  abi::DType dtype = abi::DType::f32;
  switch (tensor.type) {
    case StoredType::f32:
      break;
    case StoredType::f16:
      dtype = abi::DType::f16;
      break;
    case StoredType::bf16:
      dtype = abi::DType::bf16;
      break;
    default:
      refuse(place_of(checkpoint, tensor),
             fmt::format("found type {}, expected F16, BF16 or F32", stored_name(tensor.type)),
             "Save the model in one of these types");
  }
  expect_tensor(checkpoint, tensor, tensor.type, shape);
  return dtype;
}

std::vector<std::byte> read_bytes(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  checkpoint.read(tensor, bytes);
  return bytes;
}

// Throws with the count and first index in the whole tensor.
[[noreturn]] void refuse_values(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  constexpr uint64_t kCopiedAtOnce = 1 << 20;
  NonFinite all;
  std::vector<std::byte> bytes(std::min(kCopiedAtOnce, tensor.bytes));
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
std::vector<float> read_bias(const Checkpoint& checkpoint, const StoredIn& stored) {
  const TensorInfo* tensor = checkpoint.find(stored.name + ".bias");
  if (!tensor || tensor->bytes == 0) return {};
  expect_dense(checkpoint, *tensor, std::array{uint64_t{stored.cols}});
  const std::vector<std::byte> bytes = read_bytes(checkpoint, *tensor);
  expect_finite(checkpoint, *tensor, bytes);
  std::vector<float> values = to_floats(tensor->type, bytes);
  // AutoGPTQ writes zeros for layers that have no bias.
  const bool zero = std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
  return zero ? std::vector<float>{} : values;
}

// Whether each such layer must have a bias.
bool needs_bias(Biases biases, std::string_view name) {
  if (biases != Biases::of_qkv && biases != Biases::of_attention) return false;
  return name.ends_with(".q_proj") || name.ends_with(".k_proj") || name.ends_with(".v_proj") ||
         (biases == Biases::of_attention && name.ends_with(".o_proj"));
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

void read_packed(const Checkpoint& checkpoint, const WeightInfo& info, ZeroPoints zeros,
                 const Columns& columns, const WeightRoom& to) {
  const auto part = [&](const char* name) -> const TensorInfo& {
    return checkpoint.get(info.stored.name + name);
  };
  read_columns(checkpoint, part(".qweight"), columns, std::as_writable_bytes(to.qweight));
  read_zero_columns(checkpoint, part(".qzeros"), {info.shape.bits, zeros}, columns, to.qzeros);
  read_scales(checkpoint, part(".scales"), columns, to.scales);
}

void read_dense(const Checkpoint& checkpoint, const WeightInfo& info, const Columns& columns,
                std::span<std::byte> to) {
  const TensorInfo& tensor = checkpoint.get(info.stored.name + ".weight");
  read_rows(checkpoint, tensor, columns, to);
  if (info.shape.use == abi::WeightUse::embed) expect_finite(checkpoint, tensor, to);
}

std::vector<float> permuted(std::vector<float> values, std::span<const uint32_t> order) {
  if (order.empty()) return values;
  std::vector<float> out(values.size());
  for (size_t n = 0; n < out.size(); ++n) out[n] = values[order[n]];
  return out;
}

// A wrong size would be taken for other bits, so sizes come first.
ZeroPoints sized_zero_points(const Checkpoint& checkpoint) {
  check_sizes(checkpoint);
  return detect_zero_points(checkpoint);
}

}  // namespace

CheckpointWeights::CheckpointWeights(const Checkpoint& checkpoint)
    : checkpoint_(checkpoint), zero_points_(sized_zero_points(checkpoint)) {}

WeightInfo CheckpointWeights::describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                                       uint32_t cols) const {
  WeightInfo info{.name = std::string(name), .shape = {.use = use, .rows = rows, .cols = cols}};
  info.stored = find_stored(info.name, cols);
  if (use == abi::WeightUse::matmul && is_quantized(info.stored.name))
    describe_packed(info);
  else
    describe_dense(info);
  if (use != abi::WeightUse::matmul) return info;
  const Biases biases = checkpoint_.config().biases;
  const bool must_have = needs_bias(biases, info.name);
  const std::string bias = info.stored.name + ".bias";
  if (must_have) checkpoint_.get(bias);
  info.has_bias = !read_bias(checkpoint_, info.stored).empty();
  if (info.has_bias && !must_have && biases != Biases::as_stored)
    refuse(place_of(checkpoint_, checkpoint_.get(bias)),
           fmt::format("is a bias that {} models do not have", checkpoint_.config().model_type),
           "Take a checkpoint of such a model");
  return info;
}

// Families that store some layers together may store them apart as well.
StoredIn CheckpointWeights::find_stored(const std::string& name, uint32_t cols) const {
  StoredIn own{name, 0, cols};
  const ModelConfig& config = checkpoint_.config();
  if (!config.fuses_layers || is_quantized(name) || checkpoint_.find(name + ".weight")) return own;
  const uint32_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim;
  const uint32_t inner = config.intermediate_size;
  const struct {
    std::string_view name, stored_in;
    uint32_t first, cols;
  } parts[] = {
      {"q_proj", "qkv_proj", 0, q + 2 * kv},         {"k_proj", "qkv_proj", q, q + 2 * kv},
      {"v_proj", "qkv_proj", q + kv, q + 2 * kv},    {"gate_proj", "gate_up_proj", 0, 2 * inner},
      {"up_proj", "gate_up_proj", inner, 2 * inner},
  };
  const size_t dot = name.rfind('.') + 1;
  for (const auto& part : parts)
    if (std::string_view(name).substr(dot) == part.name)
      return {name.substr(0, dot) + std::string(part.stored_in), part.first, part.cols};
  return own;
}

// Any part tells a quantised layer, so that one without its qweight is named as such.
bool CheckpointWeights::is_quantized(const std::string& name) const {
  for (const char* part : {".qweight", ".qzeros", ".scales"})
    if (checkpoint_.find(name + part)) return true;
  return false;
}

void CheckpointWeights::describe_packed(WeightInfo& info) const {
  abi::Weight& weight = info.shape;
  const std::string& name = info.stored.name;
  const GptqShape shape = gptq_shape(checkpoint_, name, weight.rows, info.stored.cols);
  warn_of_shape(name, shape);
  weight.dtype = abi::DType::gptq;
  weight.bits = shape.bits;
  weight.zero_offset = zero_points_ == ZeroPoints::v1 ? 1 : 0;
  weight.group_size = shape.group_size;
  weight.scale_dtype = laid_out_scales(checkpoint_.get(name + ".scales").type);
  info.row_order = gptq_row_order(checkpoint_, name, weight.rows, shape);
}

// Rules for some layers (`dynamic`) say by themselves that layers differ.
void CheckpointWeights::warn_of_shape(const std::string& name, const GptqShape& shape) const {
  const QuantConfig& config = *checkpoint_.quantization();
  const bool as_said = shape.bits == config.bits && shape.group_size == shape.claimed_group_size;
  if (as_said || config.dynamic || warned_.exchange(true)) return;
  const auto groups = [](int64_t size) {
    return size == -1 ? std::string("one group") : fmt::format("groups of {}", size);
  };
  warn(
      fmt::format("{}: says {} bits and {}, but {} has {} bits and {} by its shapes; each layer is "
                  "read as its shapes say",
                  config.files.sizes, config.bits, groups(config.group_size), name, shape.bits,
                  groups(shape.groups == 1 ? -1 : int64_t{shape.group_size})));
}

void CheckpointWeights::describe_dense(WeightInfo& info) const {
  info.shape.dtype =
      expect_dense(checkpoint_, checkpoint_.get(info.stored.name + ".weight"),
                   std::array{uint64_t{info.stored.cols}, uint64_t{info.shape.rows}});
}

abi::Weight CheckpointWeights::load(const WeightInfo& info, const Columns& columns,
                                    std::span<std::byte> room) const {
  abi::Weight weight = info.shape;
  weight.row_order = info.row_order;
  Columns read = set_columns(weight, columns);
  read.stored_first = info.stored.first;
  const WeightRoom to = lay_out(weight, room);
  if (weight.dtype == abi::DType::gptq)
    read_packed(checkpoint_, info, zero_points_, read, to);
  else
    read_dense(checkpoint_, info, read, to.dense);
  return weight;
}

std::vector<float> CheckpointWeights::load_bias(const WeightInfo& info,
                                                std::span<const uint32_t> column_order) const {
  if (!info.has_bias) return {};
  std::vector<float> all = read_bias(checkpoint_, info.stored);
  const auto first = all.begin() + info.stored.first;
  return permuted({first, first + info.shape.cols}, column_order);
}

std::vector<float> CheckpointWeights::load_vector(std::string_view name, uint32_t size) const {
  const TensorInfo& tensor = checkpoint_.get(name);
  expect_dense(checkpoint_, tensor, std::array{uint64_t{size}});
  const std::vector<std::byte> bytes = read_bytes(checkpoint_, tensor);
  expect_finite(checkpoint_, tensor, bytes);
  return to_floats(tensor.type, bytes);
}

}  // namespace ropewalk
