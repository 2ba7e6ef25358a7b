#include "core/layerwise/unpacked_checkpoint.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/checkpoint/weights/read_floats.h"

namespace ropewalk {

UnpackedCheckpoint::UnpackedCheckpoint(const Checkpoint& base, const WeightSource* packed,
                                       const std::set<std::string>& layers,
                                       const std::set<std::string>& biased)
    : base_(base), packed_(packed) {
  directory_ = base.directory();
  config_ = base.config();
  tensors_.assign(base.tensors().begin(), base.tensors().end());
  for (const std::string& layer : layers) {
    TensorInfo& tensor = *std::ranges::find(tensors_, layer + ".weight", &TensorInfo::name);
    const auto rows = static_cast<uint32_t>(tensor.shape[0]);
    const auto cols = static_cast<uint32_t>(tensor.shape[1]);
    tensor.type = StoredType::f32;
    tensor.bytes = uint64_t{rows} * cols * sizeof(float);
    layers_.emplace(tensor.name, packed->describe(layer, abi::WeightUse::matmul, cols, rows));
  }
  for (const std::string& layer : biased) {
    if (base.find(layer + ".bias")) continue;
    const uint64_t rows = base.get(layer + ".weight").shape[0];
    tensors_.push_back({layer + ".bias", StoredType::f32, {rows}, rows * sizeof(float), ""});
  }
  std::ranges::sort(tensors_, {}, &TensorInfo::name);
}

// Rows are unpacked in parts of so many outputs as the reader of packed weights takes.
void UnpackedCheckpoint::read_from(const TensorInfo& tensor, uint64_t offset,
                                   std::span<std::byte> out) const {
  const auto layer = layers_.find(tensor.name);
  if (layer == layers_.end()) {
    const TensorInfo* source = base_.find(tensor.name);
    if (source)
      base_.read_from(*source, offset, out);
    else
      std::ranges::fill(out, std::byte{0});
    return;
  }
  const auto rows = static_cast<uint32_t>(tensor.shape[0]);
  const uint64_t part = abi::kPartColumns * tensor.shape[1] * sizeof(float);
  while (!out.empty()) {
    const auto first = static_cast<uint32_t>(offset / part * abi::kPartColumns);
    const std::vector<float> values =
        read_floats(*packed_, layer->second, first, std::min(abi::kPartColumns, rows - first));
    const auto bytes = std::as_bytes(std::span(values)).subspan(offset % part);
    const size_t count = std::min(out.size(), bytes.size());
    std::memcpy(out.data(), bytes.data(), count);
    out = out.subspan(count);
    offset += count;
  }
}

}  // namespace ropewalk
