// read_floats.h — rows of a linear layer's weight as numbers, whether it is quantised or not.
//
// Stateless; may be called from several threads.
#pragma once

#include <cstdint>
#include <vector>

#include "core/checkpoint/weights/weight_source.h"

namespace ropewalk {

// (count, inputs): the weights of outputs [first, first + count), as nn.Linear holds them, inputs
// in their stored order. Throws what load() throws. REQUIRES: first is a multiple of
// abi::kPartColumns.
std::vector<float> read_floats(const WeightSource& weights, const WeightInfo& info, uint32_t first,
                               uint32_t count);

}  // namespace ropewalk
