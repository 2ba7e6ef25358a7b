// layers.h — every linear layer of a Llama by name and shape, for tests that walk a whole
// checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/linear.h"

namespace ropewalk::tiny {

struct Layer {
  std::string prefix;
  uint32_t rows, cols;
};

std::vector<Layer> layers_of(const ModelConfig& config);

// Describes and loads everything a run would read. Throws what the readers throw.
void read_everything(const Checkpoint& checkpoint);

// W[k][n] of the laid-out matrix, by the formula in core/abi/weight.h.
float dequantised(const abi::Weight& weight, uint32_t k, uint32_t n);

}  // namespace ropewalk::tiny
