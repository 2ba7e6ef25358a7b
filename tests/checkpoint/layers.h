// layers.h — every linear layer of a model by name and shape, for tests that walk a whole
// checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/weights/checkpoint_weights.h"

namespace ropewalk::test {

struct Layer {
  std::string prefix;
  uint32_t rows, cols;
};

std::vector<Layer> layers_of(const ModelConfig& config);

// A weight with the memory that it was read into.
struct HeldWeight {
  std::vector<std::byte> room;
  abi::Weight weight;
};
// Some columns of it, or all in their stored order. Throws what load() throws. REQUIRES: info
// outlives the weight.
HeldWeight load_columns(const WeightSource& weights, const WeightInfo& info,
                        const Columns& columns);
HeldWeight load_whole(const WeightSource& weights, const WeightInfo& info);

// describe() of a linear layer.
WeightInfo describe(const WeightSource& weights, const Layer& layer);

// Describes and loads everything a run would read. Throws what the readers throw.
void read_everything(const Checkpoint& checkpoint);

// W[k][n] of the laid-out matrix, by the formula in core/abi/weight.h.
float dequantised(const abi::Weight& weight, uint32_t k, uint32_t n);

}  // namespace ropewalk::test
