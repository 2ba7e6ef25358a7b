// operands.h — one node with its tensors and where they lie in device memory.
//
// Borrows what it is made of; lives while a program is compiled.
#pragma once

#include "backends/cuda/memory.h"
#include "backends/cuda/ops/ops.h"
#include "backends/cuda/weights.h"

namespace ropewalk::cuda {

inline uint32_t width_of(const abi::Tensor& tensor) {
  return static_cast<uint32_t>(row_width(tensor));
}
inline Extent extent_of(const abi::Tensor& out) {
  return out.dim[0] == abi::kWanted ? Extent::wanted : Extent::rows;
}
// At least 1: a launch of nothing is an error, one that finds no rows is not.
uint32_t most_rows(const abi::ProgramShape& shape, Extent extent);
inline uint32_t heads_of(const abi::Tensor& q, const abi::Tensor& keys) {
  return width_of(q) / keys.dim[3];
}

// Where a graph's slices and weights are found.
struct Places {
  const abi::Graph& graph;
  const Memory& memory;
  const PackedWeights& weights;
};

class Operands {
 public:
  Operands(const abi::Node& node, const Places& places) : node_(node), places_(places) {}

  const abi::Tensor& in(size_t i) const { return places_.graph.tensors[node_.in[i]]; }
  const abi::Tensor& out() const { return places_.graph.tensors[node_.out[0]]; }
  uint32_t width() const { return width_of(out()); }
  Extent extent() const { return extent_of(out()); }

  // Null for an operand that the node does not have. Throws Failure (invalid_argument) where a
  // slice is outside its buffer.
  std::byte* bytes(size_t i) const {
    return i < node_.in.size() ? places_.memory.address(in(i).at) : nullptr;
  }
  const float* floats(size_t i) const { return reinterpret_cast<const float*>(bytes(i)); }
  const int32_t* order(size_t i) const { return reinterpret_cast<const int32_t*>(bytes(i)); }
  float* result() const { return reinterpret_cast<float*>(places_.memory.address(out().at)); }
  Cache cache(size_t i) const {
    const abi::Tensor& t = in(i);
    return {bytes(i), t.dtype, t.dim[2], t.dim[3]};
  }
  // Throws Failure (invalid_argument) where no weight of this shape was packed.
  const PackedWeight& weight(size_t i, abi::WeightUse use) const;

 private:
  const abi::Node& node_;
  const Places& places_;
};

}  // namespace ropewalk::cuda
