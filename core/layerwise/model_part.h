// model_part.h — a part of a model on a device, which texts run through from one cut to the next.
//
// Owns the device's memory for it. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/layerwise/activations.h"
#include "core/layerwise/graph_cut.h"
#include "core/layerwise/layer_device.h"
#include "core/load/loaded_model.h"
#include "core/modules/library.h"

namespace ropewalk {

class ModelPart {
 public:
  // Throws what LoadedModel throws. REQUIRES: `on` outlives this.
  ModelPart(const LayerDevice& on, const WeightSource& weights, GraphCut cut);

  const std::vector<LiveValue>& inputs() const { return inputs_; }
  const std::vector<LiveValue>& outputs() const { return outputs_; }

  // One text of `ids.size()` tokens: inputs and outputs are (tokens, width) of the device's
  // activation type, in the host's memory or the device's. The ids are read by a part that begins
  // with the table of embeddings only.
  // Throws Error: device_lost, and non_finite where a value of an output is not finite, with the
  // token's place in the text.
  void run(std::span<const int32_t> ids, std::span<const ValueRows> inputs,
           std::span<ValueRows> outputs);

 private:
  void write_input(size_t index, const ValueRows& rows);
  void step(std::span<const int32_t> ids, uint32_t first, uint32_t count);
  void read_output(size_t index, uint32_t first, uint32_t count, ValueRows& rows);
  abi::Program& program(const abi::ProgramShape& shape);

  const LayerDevice& on_;
  std::vector<LiveValue> inputs_, outputs_;
  std::vector<TensorId> tables_;
  abi::ProgramShape widest_;
  std::unique_ptr<LoadedModel> model_;
  std::map<uint32_t, Owned<abi::Program>> programs_;  // by rows
  std::vector<std::byte> table_;                      // (max_tokens, width), for packing
};

}  // namespace ropewalk
