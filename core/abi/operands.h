// operands.h — what every backend reads from a node: its tensors, their widths and heads, and the
// rows it runs over.
//
// Header-only, stateless; kernels may include it. REQUIRES: a graph that check_graph() has passed
// (core/graph/check.h); nothing is checked again here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/abi/graph.h"

namespace ropewalk::abi {

// Bytes of an element of a dense type; 0 for gptq.
constexpr uint32_t element_bytes(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::i8:
      return 1;
    case DType::gptq:
      break;
  }
  return 0;
}

// Which rows an op runs over: all of the step, or those whose logits are wanted.
enum class Extent : uint32_t { rows = 0, wanted = 1 };

inline Extent extent_of(const Tensor& out) {
  return out.dim[0] == kWanted ? Extent::wanted : Extent::rows;
}

inline uint32_t width_of(const Tensor& tensor) { return static_cast<uint32_t>(row_width(tensor)); }

// Heads in a row of queries, keys or values that go with this cache.
inline uint32_t heads_of(const Tensor& rows, const Tensor& cache) {
  return width_of(rows) / cache.dim[3];
}

// The RoPE table by which a node rotates; 0 too where it rotates nothing.
inline uint32_t rope_table_of(const Node& node) {
  if (node.op == Op::rope) return node.rope().table;
  if (node.op != Op::attention || node.attention().rotation != KeyRotation::on_read) return 0;
  return node.attention().table;
}

// A sequence's part of Step::inv_freq: (tables, half_dim), all 0 where the graph rotates nothing.
struct RopeSizes {
  uint32_t tables = 0;
  uint32_t half_dim = 0;  // half the head dimension of the rotated tensors

  uint32_t pairs() const { return tables * half_dim; }
};

inline RopeSizes rope_sizes_of(const Graph& graph) {
  RopeSizes sizes;
  const auto include = [&](const Node& node, uint32_t head_dim) {
    sizes.tables = std::max(sizes.tables, rope_table_of(node) + 1);
    sizes.half_dim = std::max(sizes.half_dim, head_dim / 2);
  };
  for (const Node& node : graph.nodes) {
    if (node.op == Op::rope) include(node, graph.tensors[node.in[0]].dim[2]);
    if (node.op == Op::attention && node.attention().rotation == KeyRotation::on_read)
      include(node, graph.tensors[node.in[1]].dim[3]);
  }
  return sizes;
}

// The first key that a query at this position sees; AttentionParams says what a window is.
constexpr uint32_t first_key_of(uint32_t position, uint32_t window) {
  return window != 0 && position >= window ? position - window + 1 : 0;
}

// The slot of the adapter of an op's row, or kNoAdapter.
inline uint32_t adapter_of(const Step& step, uint32_t row, Extent extent) {
  const uint32_t of_step = extent == Extent::wanted ? step.wanted[row] : row;
  return step.adapter[step.sequence[of_step]];
}

// One node with its tensors. Borrows both. A backend derives from it and adds their addresses.
class NodeTensors {
 public:
  NodeTensors(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  const Node& node() const { return node_; }
  const Tensor& in(size_t i) const { return graph_.tensors[node_.in[i]]; }
  const Tensor& out() const { return graph_.tensors[node_.out[0]]; }
  bool has(size_t i) const { return i < node_.in.size(); }
  uint32_t width() const { return width_of(out()); }
  uint32_t width_in() const { return width_of(in(0)); }
  Extent extent() const { return extent_of(out()); }

 private:
  const Graph& graph_;
  const Node& node_;
};

// The same for a device that reaches tensors by pointers. Memory::address(Slice) gives a std::byte*
// and throws Failure (invalid_argument) where the slice is outside its buffer.
template <class Memory>
class NodePointers : public NodeTensors {
 public:
  NodePointers(const Graph& graph, const Node& node, const Memory& memory)
      : NodeTensors(graph, node), memory_(memory) {}

  // Null for an operand that the node does not have.
  std::byte* bytes(size_t i) const { return has(i) ? memory_.address(in(i).at) : nullptr; }
  const float* floats(size_t i) const { return reinterpret_cast<const float*>(bytes(i)); }
  const int32_t* order(size_t i) const { return reinterpret_cast<const int32_t*>(bytes(i)); }
  float* result() const { return reinterpret_cast<float*>(memory_.address(out().at)); }

 private:
  const Memory& memory_;
};

}  // namespace ropewalk::abi
