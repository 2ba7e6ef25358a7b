// layer_weights.h — the weights of a part: some layers as they were quantised, the others as the
// base has them, and zeros in the tables that inputs are written to later.
//
// Immutable; callable from several threads.
#pragma once

#include <set>
#include <string>

#include "core/checkpoint/weights/weight_source.h"

namespace ropewalk {

class LayerWeights final : public WeightSource {
 public:
  // `names` are the layers that `packed` has. REQUIRES: both sources outlive this; `packed` is not
  // nullptr where there are names.
  LayerWeights(const WeightSource& base, const WeightSource* packed, std::set<std::string> names);

  const ModelConfig& config() const override { return base_.config(); }
  WeightInfo describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                      uint32_t cols) const override;
  abi::Weight load(const WeightInfo& info, const Columns& columns,
                   std::span<std::byte> room) const override;
  std::vector<float> load_bias(const WeightInfo& info,
                               std::span<const uint32_t> column_order) const override;
  std::vector<float> load_vector(std::string_view name, uint32_t size) const override;

 private:
  const WeightSource& source_of(std::string_view name) const;

  const WeightSource& base_;
  const WeightSource* packed_;
  std::set<std::string> names_;
};

}  // namespace ropewalk
