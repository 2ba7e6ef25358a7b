#include "core/graph/work.h"

#include <set>

#include "core/abi/operands.h"

namespace ropewalk {
namespace {

// Calls `use(x, weight)` for every matmul y = x . W.
template <class Use>
void for_each_matmul(const Graph& graph, const Use& use) {
  for (const GraphNode& node : graph.nodes)
    if (node.op == abi::Op::matmul) use(graph.tensors[node.in[0]], graph.tensors[node.in[1]]);
}

uint64_t stored_bits(const GraphTensor& weight) {
  const uint64_t rows = weight.dims[0], cols = weight.dims[1];
  if (weight.dtype != abi::DType::gptq) return rows * cols * element_bytes(weight.dtype) * 8;
  const uint64_t groups = (rows + weight.group_size - 1) / weight.group_size;
  return rows * cols * weight.bits + groups * cols * (16 + weight.bits);
}

double flop_of_node(const Graph& graph, const GraphNode& node, const StepSize& size) {
  if (node.op == abi::Op::matmul) {
    const GraphTensor &x = graph.tensors[node.in[0]], &weight = graph.tensors[node.in[1]];
    const double rows = x.dims[0] == abi::kWanted ? size.wanted : size.rows;
    return 2.0 * weight.dims[0] * weight.dims[1] * rows;
  }
  if (node.op == abi::Op::low_rank) {
    const double rows =
        graph.tensors[node.out[0]].dims[0] == abi::kWanted ? size.wanted : size.rows;
    const std::vector<uint32_t>&a = graph.tensors[node.in[2]].dims,
          &b = graph.tensors[node.in[3]].dims;
    return 2.0 * rows * a[2] * (a[1] + b[2]);
  }
  if (node.op == abi::Op::attention) {
    const std::vector<uint32_t>& query = graph.tensors[node.in[0]].dims;  // (R, heads, head_dim)
    return 4.0 * query[1] * query[2] * size.pairs;
  }
  return 0;
}

double cached_token_bytes(const GraphTensor& cache) {
  return static_cast<double>(cache.at.bytes) / (double{1} * cache.dims[0] * cache.dims[1]);
}

// Bytes of a tensor that `node` reads or writes.
double bytes_touched(const GraphNode& node, const GraphTensor& tensor, const StepSize& size) {
  if (tensor.kind == abi::TensorKind::cache)
    return cached_token_bytes(tensor) * (node.op == abi::Op::attention ? size.keys : size.rows);
  const auto element = static_cast<double>(element_bytes(tensor.dtype));
  if (tensor.kind == abi::TensorKind::weight)
    return node.op == abi::Op::embed ? size.rows * tensor.dims[1] * element
                                     : static_cast<double>(tensor.at.bytes);
  // As if all rows had one adapter.
  if (tensor.kind == abi::TensorKind::adapter)
    return static_cast<double>(tensor.at.bytes) / tensor.dims[0];
  double elements = 1;
  for (const uint32_t dim : tensor.dims)
    elements *= dim == abi::kRows ? size.rows : dim == abi::kWanted ? size.wanted : dim;
  return elements * element;
}

}  // namespace

double flop_of(const Graph& graph, const StepSize& size) {
  double flop = 0;
  for (const GraphNode& node : graph.nodes) flop += flop_of_node(graph, node, size);
  return flop;
}

double flop_of_group(const Graph& graph, const OwnedClaim& group, const StepSize& size) {
  double flop = 0;
  for (const uint32_t n : group.nodes) flop += flop_of_node(graph, graph.nodes[n], size);
  return flop;
}

uint64_t packed_weight_bytes(const Graph& graph) {
  uint64_t bytes = 0;
  for_each_matmul(graph, [&](const GraphTensor&, const GraphTensor& w) { bytes += w.at.bytes; });
  return bytes;
}

uint64_t stored_weight_bytes(const Graph& graph) {
  uint64_t bits = 0;
  for_each_matmul(graph, [&](const GraphTensor&, const GraphTensor& w) { bits += stored_bits(w); });
  return bits / 8;
}

double bytes_of_group(const Graph& graph, const OwnedClaim& group, const StepSize& size) {
  std::set<TensorId> hidden(group.hidden.begin(), group.hidden.end());
  std::set<TensorId> counted;
  double bytes = 0;
  for (const uint32_t n : group.nodes) {
    const GraphNode& node = graph.nodes[n];
    for (const std::vector<TensorId>* ids : {&node.in, &node.out})
      for (const TensorId id : *ids)
        if (!hidden.contains(id) && counted.insert(id).second)
          bytes += bytes_touched(node, graph.tensors[id], size);
  }
  return bytes;
}

uint64_t cache_bytes_per_token(const Graph& graph) {
  uint64_t bytes = 0;
  for (const GraphTensor& tensor : graph.tensors) {
    if (tensor.kind != abi::TensorKind::cache) continue;
    const uint64_t pages = tensor.dims[0], tokens = tensor.dims[1];
    bytes += tensor.at.bytes / (pages * tokens);
  }
  return bytes;
}

}  // namespace ropewalk
