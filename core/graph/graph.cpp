#include "core/graph/graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/abi/operands.h"

namespace ropewalk {

TensorId Graph::add_tensor(GraphTensor tensor) {
  tensors.push_back(std::move(tensor));
  return static_cast<TensorId>(tensors.size() - 1);
}

void Graph::add_node(GraphNode node) { nodes.push_back(std::move(node)); }

void Graph::add_output(TensorId tensor) { outputs.push_back(tensor); }

std::vector<uint32_t> Graph::readers(TensorId tensor) const {
  std::vector<uint32_t> found;
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    const auto& in = nodes[i].in;
    if (std::find(in.begin(), in.end(), tensor) != in.end()) found.push_back(i);
  }
  return found;
}

size_t Graph::writer(TensorId tensor) const {
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto& out = nodes[i].out;
    if (std::find(out.begin(), out.end(), tensor) != out.end()) return i;
  }
  return nodes.size();
}

bool Graph::is_output(TensorId tensor) const {
  return std::find(outputs.begin(), outputs.end(), tensor) != outputs.end();
}

uint64_t Graph::bytes(TensorId tensor, uint32_t rows, uint32_t wanted) const {
  const GraphTensor& t = tensors[tensor];
  uint64_t count = element_bytes(t.dtype);
  for (const uint32_t dim : t.dims) {
    count *= dim == abi::kRows ? rows : dim == abi::kWanted ? wanted : dim;
  }
  return count;
}

GraphView::GraphView(const Graph& graph) {
  for (const GraphNode& node : graph.nodes) {
    nodes_.push_back({node.name, node.op, node.in, node.out, node.params});
  }
  for (const GraphTensor& t : graph.tensors) {
    abi::Tensor tensor{};
    tensor.name = t.name;
    tensor.kind = t.kind;
    tensor.dtype = t.dtype;
    tensor.bits = t.bits;
    tensor.group_size = t.group_size;
    tensor.rank = static_cast<uint8_t>(t.dims.size());
    std::copy(t.dims.begin(), t.dims.end(), tensor.dim);
    tensor.at = t.at;
    tensors_.push_back(tensor);
  }
  view_ = {nodes_, tensors_, graph.outputs};
}

std::string describe(const Graph& graph) {
  const auto names = [&](const std::vector<TensorId>& ids) {
    std::vector<std::string_view> list;
    for (const TensorId id : ids) list.push_back(graph.tensors[id].name);
    return fmt::format("{}", fmt::join(list, ", "));
  };
  std::string text;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    text += fmt::format("{} {} {} ({}) -> {}\n", i, node.name, op_name(node.op), names(node.in),
                        names(node.out));
  }
  return text;
}

}  // namespace ropewalk
