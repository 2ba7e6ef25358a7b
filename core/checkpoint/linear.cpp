#include "core/checkpoint/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/base/log.h"
#include "core/checkpoint/finite.h"
#include "core/checkpoint/gptq.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

std::vector<std::byte> read_bytes(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  checkpoint.read(tensor, bytes);
  return bytes;
}

void expect_finite(const Checkpoint& checkpoint, const TensorInfo& tensor,
                   std::span<const std::byte> bytes) {
  const NonFinite found = count_non_finite(tensor.type, bytes);
  if (found.count > 0)
    refuse(place_of(checkpoint, tensor),
           fmt::format("holds {} values that are NaN or infinite, the first at index {}, expected "
                       "none",
                       found.count, found.first),
           kDownloadAgain);
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

class LoadedWeight final : public HostWeight {
 public:
  const abi::Weight& view() const override { return view_; }
  const std::vector<float>& bias() const override { return bias_; }

  abi::Weight view_;
  std::vector<float> bias_;
  std::vector<std::byte> dense_, scales_;
  std::vector<uint32_t> qweight_, qzeros_, row_order_, column_order_;
};

void load_packed(const Checkpoint& checkpoint, const LinearInfo& info, ZeroPoints zero_points,
                 LoadedWeight& weight) {
  const auto words = [&](const char* part) {
    const TensorInfo& tensor = checkpoint.get(info.prefix + part);
    std::vector<uint32_t> out(tensor.bytes / sizeof(uint32_t));
    checkpoint.read(tensor, std::as_writable_bytes(std::span(out)));
    return out;
  };
  weight.qweight_ = words(".qweight");
  weight.qzeros_ = words(".qzeros");
  weight.row_order_ = info.row_order;
  const TensorInfo& scales = checkpoint.get(info.prefix + ".scales");
  weight.scales_ = read_bytes(checkpoint, scales);
  expect_finite(checkpoint, scales, weight.scales_);
  abi::Weight& view = weight.view_;
  view.scale_dtype = laid_out_scales(scales.type);
  if (scales.type == StoredType::bf16) {
    const std::vector<float> values = to_floats(scales.type, weight.scales_);
    weight.scales_.resize(values.size() * sizeof(float));
    std::memcpy(weight.scales_.data(), values.data(), weight.scales_.size());
  }
  view.dtype = abi::DType::gptq;
  view.bits = info.bits;
  view.group_size = info.group_size;
  view.zero_offset = zero_points == ZeroPoints::v1 ? 1 : 0;
  view.qweight = weight.qweight_;
  view.qzeros = weight.qzeros_;
  view.scales = weight.scales_;
  view.row_order = weight.row_order_;
}

std::vector<float> permuted(std::vector<float> values, std::span<const uint32_t> order) {
  if (values.empty() || order.empty()) return values;
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

std::unique_ptr<HostWeight> load_linear(const Checkpoint& checkpoint, const LinearInfo& info,
                                        ZeroPoints zero_points,
                                        std::vector<uint32_t> column_order) {
  auto weight = std::make_unique<LoadedWeight>();
  abi::Weight& view = weight->view_;
  view.rows = info.rows;
  view.cols = info.cols;
  if (info.quantized) {
    load_packed(checkpoint, info, zero_points, *weight);
  } else {
    weight->dense_ = read_bytes(checkpoint, checkpoint.get(info.prefix + ".weight"));
    view.dtype = info.dense_type;
    view.dense = weight->dense_;
  }
  weight->column_order_ = std::move(column_order);
  view.column_order = weight->column_order_;
  if (info.has_bias)
    weight->bias_ = permuted(read_bias(checkpoint, info.prefix, info.cols), view.column_order);
  return weight;
}

std::vector<float> load_vector(const Checkpoint& checkpoint, std::string_view name, uint32_t size) {
  const TensorInfo& tensor = checkpoint.get(name);
  dense_type(checkpoint, tensor);
  expect_tensor(checkpoint, tensor, tensor.type, std::array{uint64_t{size}});
  const std::vector<std::byte> bytes = read_bytes(checkpoint, tensor);
  expect_finite(checkpoint, tensor, bytes);
  return to_floats(tensor.type, bytes);
}

std::unique_ptr<HostWeight> load_table(const Checkpoint& checkpoint, std::string_view name,
                                       uint32_t vocab, uint32_t hidden) {
  const TensorInfo& tensor = checkpoint.get(name);
  auto weight = std::make_unique<LoadedWeight>();
  weight->view_.use = abi::WeightUse::embed;
  weight->view_.dtype = dense_type(checkpoint, tensor);
  weight->view_.rows = hidden;
  weight->view_.cols = vocab;
  expect_tensor(checkpoint, tensor, tensor.type, std::array{uint64_t{vocab}, uint64_t{hidden}});
  weight->dense_ = read_bytes(checkpoint, tensor);
  expect_finite(checkpoint, tensor, weight->dense_);
  weight->view_.dense = weight->dense_;
  return weight;
}

}  // namespace ropewalk
