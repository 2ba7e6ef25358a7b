#include "core/checkpoint/weights/gptq.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/log.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

constexpr std::string_view kOtherSource =
    "Download config.json, the quantisation config and the weights of one revision";

uint8_t inferred_bits(const Checkpoint& checkpoint, const TensorInfo& qweight, uint32_t rows) {
  // qweight has rows * bits / 32 rows.
  const uint64_t words = qweight.shape.empty() ? 0 : qweight.shape[0];
  for (const uint64_t bits : {2, 3, 4, 8})
    if (uint64_t{rows} * bits == words * 32) return static_cast<uint8_t>(bits);
  const QuantConfig& config = *checkpoint.quantization();
  refuse(place_of(checkpoint, qweight),
         fmt::format("found shape [{}], expected {} rows for {} inputs of {} bits ({})",
                     fmt::join(qweight.shape, ", "), static_cast<double>(rows) * config.bits / 32,
                     rows, config.bits, config.files.sizes),
         kOtherSource);
}

uint32_t groups_of(uint32_t rows, uint32_t size) {
  return static_cast<uint32_t>((uint64_t{rows} + size - 1) / size);
}

uint32_t claimed_group_size(const QuantConfig& config, uint32_t rows) {
  return config.group_size == -1 ? rows : std::min(rows, static_cast<uint32_t>(config.group_size));
}

// Rows per group, from the number of groups that qzeros has. AutoGPTQ rounds that up: the last
// group may be short, and then several sizes make as many groups. The config's comes first, then
// equal groups, then a power of two, as every quantiser's are.
uint32_t inferred_group_size(const Checkpoint& checkpoint, const TensorInfo& qzeros,
                             uint32_t rows) {
  const uint64_t groups = qzeros.shape.empty() ? 0 : qzeros.shape[0];
  const uint32_t claimed = claimed_group_size(*checkpoint.quantization(), rows);
  if (groups == groups_of(rows, claimed)) return claimed;
  if (groups > 0 && rows % groups == 0) return static_cast<uint32_t>(rows / groups);
  for (uint32_t size = 8; size < rows; size *= 2)
    if (groups == groups_of(rows, size)) return size;
  const QuantConfig& config = *checkpoint.quantization();
  refuse(place_of(checkpoint, qzeros),
         fmt::format("has {} groups for {} inputs by its shape [{}], expected {} ({} says "
                     "group_size {}) or another number that groups of one size make",
                     groups, rows, fmt::join(qzeros.shape, ", "), groups_of(rows, claimed),
                     config.files.sizes, config.group_size),
         kOtherSource);
}

void expect_scales(const Checkpoint& checkpoint, const TensorInfo& scales, uint64_t groups,
                   uint64_t cols) {
  const StoredType type = scales.type == StoredType::f32 || scales.type == StoredType::bf16
                              ? scales.type
                              : StoredType::f16;
  expect_tensor(checkpoint, scales, type, std::array{groups, cols});
}

bool any_g_idx(const Checkpoint& checkpoint) {
  const auto tensors = checkpoint.tensors();
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const TensorInfo& tensor) { return tensor.name.ends_with(".g_idx"); });
}

// REQUIRES: i32 or i64.
std::vector<int64_t> read_g_idx(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  std::vector<int64_t> group(tensor.bytes / stored_size(tensor.type));
  if (tensor.type == StoredType::i64) {
    checkpoint.read(tensor, std::as_writable_bytes(std::span(group)));
    return group;
  }
  std::vector<int32_t> narrow(group.size());
  checkpoint.read(tensor, std::as_writable_bytes(std::span(narrow)));
  std::copy(narrow.begin(), narrow.end(), group.begin());
  return group;
}

// Group of each stored row, each below `groups`.
std::vector<uint32_t> read_groups(const Checkpoint& checkpoint, const TensorInfo& tensor,
                                  uint32_t rows, uint32_t groups) {
  expect_tensor(checkpoint, tensor,
                tensor.type == StoredType::i64 ? StoredType::i64 : StoredType::i32,
                std::array{uint64_t{rows}});
  const std::vector<int64_t> stored = read_g_idx(checkpoint, tensor);
  std::vector<uint32_t> group(rows);
  for (uint32_t k = 0; k < rows; ++k) {
    if (stored[k] < 0 || stored[k] >= groups)
      refuse(place_of(checkpoint, tensor),
             fmt::format("found group {} for row {}, expected 0 to {}", stored[k], k, groups - 1),
             kOtherSource);
    group[k] = static_cast<uint32_t>(stored[k]);
  }
  return group;
}

}  // namespace

std::string place_of(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  return fmt::format("{}: {}", (checkpoint.directory() / tensor.file).string(), tensor.name);
}

void expect_tensor(const Checkpoint& checkpoint, const TensorInfo& tensor, StoredType type,
                   std::span<const uint64_t> shape) {
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), shape.begin(), shape.end()))
    refuse(place_of(checkpoint, tensor),
           fmt::format("found shape [{}], expected [{}]", fmt::join(tensor.shape, ", "),
                       fmt::join(shape, ", ")),
           kOtherSource);
  if (tensor.type != type)
    refuse(place_of(checkpoint, tensor),
           fmt::format("found type {}, expected {}", stored_name(tensor.type), stored_name(type)),
           kOtherSource);
}

GptqShape gptq_shape(const Checkpoint& checkpoint, const std::string& prefix, uint32_t rows,
                     uint32_t cols) {
  const TensorInfo& qweight = checkpoint.get(prefix + ".qweight");
  const TensorInfo& qzeros = checkpoint.get(prefix + ".qzeros");
  const TensorInfo& scales = checkpoint.get(prefix + ".scales");
  GptqShape shape{};
  shape.bits = inferred_bits(checkpoint, qweight, rows);
  const uint64_t bits = shape.bits;
  expect_tensor(checkpoint, qweight, StoredType::i32, std::array{rows * bits / 32, uint64_t{cols}});
  if (cols * bits % 32 != 0)
    refuse(place_of(checkpoint, qzeros),
           fmt::format("{} outputs of {} bits do not fill whole 32-bit words", cols, bits),
           kOtherSource);
  shape.group_size = inferred_group_size(checkpoint, qzeros, rows);
  shape.claimed_group_size = claimed_group_size(*checkpoint.quantization(), rows);
  shape.groups = groups_of(rows, shape.group_size);
  expect_tensor(checkpoint, qzeros, StoredType::i32,
                std::array{uint64_t{shape.groups}, cols * bits / 32});
  expect_scales(checkpoint, scales, shape.groups, cols);
  return shape;
}

std::vector<uint32_t> gptq_row_order(const Checkpoint& checkpoint, const std::string& prefix,
                                     uint32_t rows, const GptqShape& shape) {
  const TensorInfo* tensor = checkpoint.find(prefix + ".g_idx");
  if (!tensor) {
    // The first files of GPTQ-for-LLaMa have none at all: groups in the order of the rows.
    if (any_g_idx(checkpoint)) checkpoint.get(prefix + ".g_idx");
    return {};
  }
  const std::vector<uint32_t> group = read_groups(checkpoint, *tensor, rows, shape.groups);
  bool all_zero = true, sequential = true;
  for (uint32_t k = 0; k < rows; ++k) {
    all_zero = all_zero && group[k] == 0;
    sequential = sequential && group[k] == k / shape.group_size;
  }
  // Quantisers that never ordered the rows left a tensor of zeros in their files.
  if (sequential || (all_zero && !checkpoint.quantization()->act_order.value_or(false))) return {};

  // A counting sort: group g's rows take the positions from g * group_size on.
  std::vector<uint32_t> filled(shape.groups, 0), order(rows);
  for (const uint32_t id : group) ++filled[id];
  for (uint32_t id = 0; id < shape.groups; ++id) {
    const uint32_t expected = std::min(shape.group_size, rows - id * shape.group_size);
    if (filled[id] != expected)
      refuse(place_of(checkpoint, *tensor),
             fmt::format("gives {} rows to group {}, expected {}", filled[id], id, expected),
             kOtherSource);
  }
  std::fill(filled.begin(), filled.end(), 0);
  for (uint32_t k = 0; k < rows; ++k) order[group[k] * shape.group_size + filled[group[k]]++] = k;
  return order;
}

void warn_of_order(const Checkpoint& checkpoint) {
  const QuantConfig& config = *checkpoint.quantization();
  bool found = false, ordered = true;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!tensor.name.ends_with(".g_idx")) continue;
    found = true;
    if (tensor.type != StoredType::i32 && tensor.type != StoredType::i64) continue;
    const std::vector<int64_t> group = read_g_idx(checkpoint, tensor);
    ordered = std::is_sorted(group.begin(), group.end());
    if (!ordered) break;
  }
  if (config.act_order.value_or(false) && !found)
    warn(fmt::format(
        "{}: says desc_act true, but no tensor is named g_idx; rows taken as grouped in "
        "order",
        config.files.act_order));
  if (!config.act_order.value_or(true) && !config.dynamic && !ordered)
    warn(fmt::format("{}: says desc_act false, but g_idx orders the rows; g_idx is used",
                     config.files.act_order));
}

}  // namespace ropewalk
