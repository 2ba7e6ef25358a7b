#include "core/layerwise/layer_device.h"

#include <algorithm>

#include "core/engine/kv_type.h"
#include "core/engine/rope_choice.h"

namespace ropewalk {
namespace {

constexpr uint32_t kMaxRows = 512;  // of the widest bucket

}  // namespace

LayerDevice::LayerDevice(Registry& registry, const Config& config, const ModelConfig& model,
                         uint32_t max_tokens)
    : opened_(open_device(registry, config.backend)),
      kv_type_(kv_type_of(config, opened_)),
      max_tokens_(max_tokens) {
  tell_of_device(opened_);
  void* solver = nullptr;
  if (device().extension(abi::kQuantize, &solver).ok())
    solver_ = static_cast<abi::QuantizeSolver*>(solver);
  const RopeChoice choice = choose_rope(config, model, max_tokens);
  const Library& library = registry.find_choice(abi::ModuleKind::rope_scaling, choice.plugin);
  policy_ = library.create<abi::RopeScaling>(choice.plugin, nullptr);
  tables_ = std::make_unique<RopeTables>(*policy_, choice.request, choice.mode, choice.heads);
}

uint32_t LayerDevice::rows() const { return std::min(info().max_rows, kMaxRows); }

}  // namespace ropewalk
