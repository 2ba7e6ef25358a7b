// layer_device.h — what the parts of a model run on: a device, a RoPE table, a type of cache.
//
// Owns the device. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/abi/quantize.h"
#include "core/checkpoint/config/model_config.h"
#include "core/config/config.h"
#include "core/engine/devices.h"
#include "core/model/rope_tables.h"
#include "core/modules/registry.h"

namespace ropewalk {

class LayerDevice {
 public:
  // Opens the device that the configuration names, for texts of at most `max_tokens`. Throws what
  // open_device(), choose_rope() and kv_type_of() throw. REQUIRES: the registry outlives this.
  LayerDevice(Registry& registry, const Config& config, const ModelConfig& model,
              uint32_t max_tokens);

  abi::Device& device() const { return *opened_.device; }
  const abi::DeviceInfo& info() const { return opened_.device->info(); }
  std::string name() const { return opened_.name(); }
  abi::QuantizeSolver* solver() const { return solver_; }  // the device's; nullptr: it has none
  RopeTables& rope() const { return *tables_; }
  abi::DType kv_type() const { return kv_type_; }
  uint32_t rows() const;  // of one step
  uint32_t max_tokens() const { return max_tokens_; }

 private:
  OpenDevice opened_;
  abi::QuantizeSolver* solver_ = nullptr;
  abi::DType kv_type_;
  uint32_t max_tokens_;
  Owned<abi::RopeScaling> policy_;
  std::unique_ptr<RopeTables> tables_;
};

}  // namespace ropewalk
