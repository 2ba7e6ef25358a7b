#include "core/layerwise/quantized_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"
#include "core/quantize/checksum.h"

namespace ropewalk {
namespace {

constexpr std::array kPacked = {".g_idx", ".qweight", ".qzeros", ".scales"};
constexpr uint64_t kValuesAtATime = uint64_t{4} << 20;

TensorInfo tensor_of(std::string name, StoredType type, std::vector<uint64_t> shape) {
  uint64_t count = 1;
  for (const uint64_t dim : shape) count *= dim;
  return {std::move(name), type, std::move(shape), count * stored_size(type), {}};
}

void add_packed(const std::string& name, uint64_t rows, uint64_t cols,
                const quantize::Settings& settings, std::vector<TensorInfo>& tensors) {
  const uint64_t bits = settings.bits;
  const uint64_t groups =
      settings.group_size == 0 ? 1 : (cols + settings.group_size - 1) / settings.group_size;
  tensors.push_back(tensor_of(name + ".g_idx", StoredType::i32, {cols}));
  tensors.push_back(tensor_of(name + ".qweight", StoredType::i32, {cols * bits / 32, rows}));
  tensors.push_back(tensor_of(name + ".qzeros", StoredType::i32, {groups, rows * bits / 32}));
  tensors.push_back(tensor_of(name + ".scales", StoredType::f16, {groups, rows}));
}

// Some layers of the output.
class Written final : public Checkpoint {
 public:
  Written(const Checkpoint& base, const QuantConfig& quant, const SafetensorsWriter& writer)
      : writer_(writer) {
    directory_ = base.directory();
    config_ = base.config();
    quantization_ = quant;
  }
  void add(size_t index) {
    tensors_.push_back(writer_.tensors()[index]);
    places_[tensors_.back().name] = index;
  }
  void read_from(const TensorInfo& tensor, uint64_t offset,
                 std::span<std::byte> out) const override {
    writer_.read(places_.find(tensor.name)->second, offset, out);
  }
  void check_unchanged() const override {}

 private:
  const SafetensorsWriter& writer_;
  std::map<std::string, size_t, std::less<>> places_;
};

template <class Value>
std::span<const std::byte> bytes_of(const std::vector<Value>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

QuantizedOutput::QuantizedOutput(const Checkpoint& base, const std::set<std::string>& linears,
                                 const quantize::Settings& settings, uint64_t shard_bytes,
                                 OutputFolder& folder)
    : base_(base) {
  quant_.bits = settings.bits;
  quant_.group_size = settings.group_size == 0 ? -1 : static_cast<int32_t>(settings.group_size);
  quant_.act_order = settings.order == quantize::Order::act;
  quant_.symmetric = settings.symmetric;
  quant_.zero_format = settings.zeros == quantize::ZeroForm::v2 ? ZeroFormat::v2 : ZeroFormat::v1;
  constexpr const char* kFile = "quantize_config.json";
  quant_.files = {kFile, kFile, kFile, kFile};
  std::vector<TensorInfo> tensors;
  for (const TensorInfo& tensor : base.tensors()) {
    constexpr std::string_view kWeightEnding = ".weight";
    const bool is_weight = tensor.name.ends_with(kWeightEnding);
    const std::string linear =
        is_weight ? tensor.name.substr(0, tensor.name.size() - kWeightEnding.size()) : "";
    if (linears.contains(linear)) {
      add_packed(linear, tensor.shape[0], tensor.shape[1], settings, tensors);
      continue;
    }
    // What loaders compute themselves, and the head of a model that ties it to the table.
    if (tensor.name.ends_with(".inv_freq") ||
        (base.config().tied_embeddings && linear == "lm_head"))
      continue;
    others_.push_back(tensor.name);
    tensors.push_back(tensor_of(tensor.name, is_float(tensor.type) ? StoredType::f16 : tensor.type,
                                tensor.shape));
  }
  for (size_t i = 0; i < tensors.size(); ++i) index_[tensors[i].name] = i;
  writer_ = std::make_unique<SafetensorsWriter>(
      folder, SafetensorsPlan{"model", std::move(tensors), shard_bytes});
}

void QuantizedOutput::copy_others() const {
  for (const std::string& name : others_) {
    const TensorInfo& from = base_.get(name);
    const uint64_t size = stored_size(from.type);
    const size_t index = index_.at(name);
    const StoredType type = writer_->tensors()[index].type;
    for (uint64_t at = 0; at < from.bytes; at += kValuesAtATime * size) {
      std::vector<std::byte> bytes(std::min(kValuesAtATime * size, from.bytes - at));
      base_.read_from(from, at, bytes);
      if (is_float(from.type)) {
        if (count_non_finite(from.type, bytes).count > 0)
          throw Error(ExitCode::model, name, "found values that are NaN or infinite",
                      "The file is damaged: see `ropewalk inspect --verify`");
        const std::vector<float> values = to_floats(from.type, bytes);
        bytes.resize(values.size() * stored_size(type));
        round_to(type, values, bytes);
        if (count_non_finite(type, bytes).count > 0)
          throw Error(ExitCode::model, name,
                      "found values too large for f16, as GPTQ files have it",
                      "This model cannot be quantised: it needs the range of bf16");
      }
      writer_->write(index, at / size * stored_size(type), bytes);
    }
  }
}

std::string QuantizedOutput::write(const std::string& linear,
                                   const quantize::PackedMatrix& packed) const {
  const std::array parts = {bytes_of(packed.g_idx), bytes_of(packed.qweight),
                            bytes_of(packed.qzeros), bytes_of(packed.scales)};
  quantize::Checksum sum;
  for (size_t i = 0; i < parts.size(); ++i) {
    writer_->write(index_.at(linear + kPacked[i]), 0, parts[i]);
    sum.add(parts[i]);
  }
  return sum.text();
}

std::string QuantizedOutput::checksum(const std::string& linear) const {
  quantize::Checksum sum;
  for (const char* part : kPacked) {
    const size_t index = index_.at(linear + part);
    std::vector<std::byte> bytes(writer_->tensors()[index].bytes);
    writer_->read(index, 0, bytes);
    sum.add(bytes);
  }
  return sum.text();
}

std::unique_ptr<Checkpoint> QuantizedOutput::written(const std::set<std::string>& linears) const {
  auto checkpoint = std::make_unique<Written>(base_, quant_, *writer_);
  // In the order of the base's tensors, which is by name.
  for (size_t i = 0; i < writer_->tensors().size(); ++i) {
    const std::string& name = writer_->tensors()[i].name;
    const std::string linear = name.substr(0, name.rfind('.'));
    if (linears.contains(linear)) checkpoint->add(i);  // its bias too
  }
  return checkpoint;
}

uint64_t QuantizedOutput::bytes() const {
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : writer_->tensors()) bytes += tensor.bytes;
  return bytes;
}

}  // namespace ropewalk
