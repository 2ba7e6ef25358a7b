// small_graphs.h — graphs of a few nodes for the tests of core/graph.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/graph/graph.h"

namespace ropewalk::test {

inline TensorId scratch(Graph& graph, const std::string& name, uint32_t width) {
  GraphTensor tensor;
  tensor.name = name;
  tensor.dims = {abi::kRows, width};
  return graph.add_tensor(std::move(tensor));
}

inline TensorId weight(Graph& graph, const std::string& name, uint32_t rows, uint32_t cols) {
  GraphTensor tensor;
  tensor.name = name;
  tensor.kind = abi::TensorKind::weight;
  tensor.dtype = abi::DType::gptq;
  tensor.dims = {rows, cols};
  return graph.add_tensor(std::move(tensor));
}

inline TensorId vector(Graph& graph, const std::string& name, uint32_t size) {
  GraphTensor tensor;
  tensor.name = name;
  tensor.kind = abi::TensorKind::constant;
  tensor.dims = {size};
  return graph.add_tensor(std::move(tensor));
}

inline TensorId order(Graph& graph, const std::string& name, std::vector<uint32_t> values) {
  GraphTensor tensor;
  tensor.name = name;
  tensor.kind = abi::TensorKind::constant;
  tensor.dtype = abi::DType::i32;
  tensor.dims = {static_cast<uint32_t>(values.size())};
  tensor.values = std::move(values);
  return graph.add_tensor(std::move(tensor));
}

inline TensorId add(Graph& graph, abi::Op op, const std::string& name, std::vector<TensorId> in,
                    uint32_t width) {
  const TensorId out = scratch(graph, name, width);
  graph.add_node({name, op, std::move(in), {out}});
  return out;
}

// x -> permute(by) -> matmul
inline TensorId act_order_matmul(Graph& graph, const std::string& name, TensorId x,
                                 const std::vector<uint32_t>& by, uint32_t cols) {
  const TensorId values = order(graph, name + ".order", by);
  const auto width = static_cast<uint32_t>(by.size());
  const TensorId permuted = add(graph, abi::Op::permute, name + ".permute", {x, values}, width);
  const TensorId w = weight(graph, name + ".weight", width, cols);
  return add(graph, abi::Op::matmul, name, {permuted, w}, cols);
}

}  // namespace ropewalk::test
