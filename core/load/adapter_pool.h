// adapter_pool.h — adapters in the slots of a loaded model. A slot is written when a step first
// needs its adapter; the one that no step has needed for the longest gives way.
//
// Not thread-safe: place() writes to the device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/backend.h"
#include "core/checkpoint/weights/adapter_source.h"
#include "core/load/loaded_model.h"

namespace ropewalk {

struct NamedAdapter {
  std::string name;
  std::shared_ptr<const AdapterSource> source;
};

// The room that these adapters need in a model's graph. REQUIRES: at least one adapter.
AdapterRoom room_for(std::span<const NamedAdapter> adapters, uint32_t slots);

class AdapterPool {
 public:
  // Fills the slots with the first adapters and reads the others once. Throws Error (model) for an
  // adapter that changes what the model does not have, and for values that f16 cannot hold.
  // REQUIRES: device and model outlive this; the model has_adapters(), with room for these.
  AdapterPool(abi::Device& device, const LoadedModel& model, std::vector<NamedAdapter> adapters);

  std::span<const NamedAdapter> adapters() const { return adapters_; }
  uint32_t slots() const { return static_cast<uint32_t>(slots_.size()); }

  // Replaces the adapters of a step's sequences by their slots; abi::kNoAdapter stays. Throws Error
  // (limit) where there are more of them than slots.
  void place(std::span<uint32_t> adapters);

 private:
  struct Slot {
    uint32_t adapter = abi::kNoAdapter;
    uint64_t last_step = 0;
  };

  Slot& slot_of(uint32_t adapter);
  void write(uint32_t slot, const NamedAdapter& adapter);
  void write_layer(uint32_t slot, const AdapterLoad& layer, const LowRankMatrices& matrices,
                   std::string_view adapter);
  void write_vectors(uint32_t slot, const AdapterLoad& layer, const LowRankMatrices& matrices);
  void write_part(TensorId tensor, uint32_t slot, std::span<const std::byte> bytes);

  abi::Device& device_;
  const ModelGraph& model_;  // with adapters
  const std::vector<NamedAdapter> adapters_;
  std::vector<Slot> slots_;
  uint64_t steps_ = 0;
};

}  // namespace ropewalk
