// operands.h — one node with its tensors and their addresses in device memory.
//
// Borrows its arguments; lives while a program is compiled.
#pragma once

#include <algorithm>

#include "backends/cuda/device/memory.h"
#include "backends/cuda/device/weights.h"
#include "backends/cuda/ops/ops.h"
#include "core/abi/workspace.h"

namespace ropewalk::cuda {

// Rows of a launch, at least 1: an empty grid is an error, a kernel that finds no rows is not.
inline uint32_t launch_rows(const abi::ProgramShape& shape, Extent extent) {
  return std::max(max_rows(shape, extent), 1u);
}

// A graph, the memory that its slices lie in, and its packed weights.
struct TensorTable {
  const abi::Graph& graph;
  const Memory& memory;
  const PackedWeights& weights;
};

class Operands : public abi::NodePointers<Memory> {
 public:
  Operands(const abi::Node& node, const TensorTable& tensors)
      : NodePointers(tensors.graph, node, tensors.memory), weights_(tensors.weights) {}

  Cache cache(size_t i) const { return cache_of(in(i), bytes(i)); }
  // Throws Failure (invalid_argument) where no weight of this shape was packed.
  const gptq::Layout& weight(size_t i, abi::WeightUse use) const { return weights_.of(in(i), use); }

 private:
  const PackedWeights& weights_;
};

}  // namespace ropewalk::cuda
