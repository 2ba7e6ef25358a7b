#include "core/graph/work.h"

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

}  // namespace

double flop_of(const Graph& graph, const StepSize& size) {
  double flop = 0;
  for_each_matmul(graph, [&](const GraphTensor& x, const GraphTensor& weight) {
    const double rows = x.dims[0] == abi::kWanted ? size.wanted : size.rows;
    flop += 2.0 * weight.dims[0] * weight.dims[1] * rows;
  });
  for (const GraphNode& node : graph.nodes) {
    if (node.op != abi::Op::attention) continue;
    const std::vector<uint32_t>& query = graph.tensors[node.in[0]].dims;  // (R, heads, head_dim)
    flop += 4.0 * query[1] * query[2] * size.pairs;
  }
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
