// graph.h — a graph under construction: owns what abi::Graph only points to.
//
// core/model builds it, the passes of this room rewrite it, a device sees it through view(). Not
// thread-safe; immutable once a device has it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/abi/kv_page.h"

namespace ropewalk {

using TensorId = uint32_t;

struct GraphTensor {
  std::string name;
  abi::TensorKind kind = abi::TensorKind::scratch;
  abi::DType dtype = abi::DType::f32;
  std::vector<uint32_t> dims;  // dims[0] may be abi::kRows or abi::kWanted
  uint8_t bits = 0;            // GPTQ weights
  uint32_t group_size = 0;     // GPTQ weights
  // Constants that the graph itself computes (orders); those read from the checkpoint have none.
  std::vector<uint32_t> values;
  // Weights, biases and the second matrices of adapters: the order in which the columns are laid
  // out; empty: as stored.
  std::vector<uint32_t> column_order;
  abi::Slice at;  // its memory, once placed
};

struct GraphNode {
  std::string name;
  abi::Op op;
  std::vector<TensorId> in, out;
  abi::NodeParams params = {};
};

// REQUIRES: a cache.
inline abi::KvPage kv_page_of(const GraphTensor& cache) {
  return {cache.dtype, cache.dims[1], cache.dims[2], cache.dims[3]};
}

class Graph {
 public:
  TensorId add_tensor(GraphTensor tensor);
  void add_node(GraphNode node);  // after all nodes whose outputs it reads
  void add_output(TensorId tensor);

  std::vector<GraphNode> nodes;
  std::vector<GraphTensor> tensors;
  std::vector<TensorId> outputs;

  // Indices of the nodes that read `tensor`, and of the one that writes it (nodes.size(): none).
  std::vector<uint32_t> readers(TensorId tensor) const;
  size_t writer(TensorId tensor) const;
  bool is_output(TensorId tensor) const;

  // Bytes of a tensor with kRows = rows and kWanted = wanted. Dense types only: the device decides
  // the size of a packed weight.
  uint64_t bytes(TensorId tensor, uint32_t rows, uint32_t wanted) const;
};

// The graph as a device sees it. Valid as long as `graph` lives unchanged.
class GraphView {
 public:
  explicit GraphView(const Graph& graph);
  const abi::Graph& get() const { return view_; }

 private:
  std::vector<abi::Node> nodes_;
  std::vector<abi::Tensor> tensors_;
  abi::Graph view_;
};

// A line a node: `12 layers.0.attention.q_proj matmul (norm, weight) -> q`. For plans and tests.
std::string describe(const Graph& graph);

}  // namespace ropewalk
