#include "core/layerwise/layer_weights.h"

#include <algorithm>
#include <utility>

#include "core/checkpoint/weights/weight_room.h"
#include "core/layerwise/graph_cut.h"

namespace ropewalk {

LayerWeights::LayerWeights(const WeightSource& base, const WeightSource* packed,
                           std::set<std::string> names)
    : base_(base), packed_(packed), names_(std::move(names)) {}

const WeightSource& LayerWeights::source_of(std::string_view name) const {
  return names_.contains(std::string(name)) ? *packed_ : base_;
}

WeightInfo LayerWeights::describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                                  uint32_t cols) const {
  return source_of(name).describe(name, use, rows, cols);
}

abi::Weight LayerWeights::load(const WeightInfo& info, const Columns& columns,
                               std::span<std::byte> room) const {
  if (!info.name.starts_with(kInputPrefix)) return source_of(info.name).load(info, columns, room);
  abi::Weight weight = info.shape;
  set_columns(weight, columns);
  std::ranges::fill(lay_out(weight, room).dense, std::byte{0});
  return weight;
}

std::vector<float> LayerWeights::load_bias(const WeightInfo& info,
                                           std::span<const uint32_t> column_order) const {
  return source_of(info.name).load_bias(info, column_order);
}

std::vector<float> LayerWeights::load_vector(std::string_view name, uint32_t size) const {
  return base_.load_vector(name, size);
}

}  // namespace ropewalk
