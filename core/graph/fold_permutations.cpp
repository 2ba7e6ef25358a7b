#include "core/graph/fold_permutations.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace ropewalk {
namespace {

using abi::Op;

uint32_t count_permutes(const Graph& graph) {
  return static_cast<uint32_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                             [](const auto& n) { return n.op == Op::permute; }));
}

void replace_reads(Graph& graph, TensorId from, TensorId to) {
  for (GraphNode& node : graph.nodes) std::replace(node.in.begin(), node.in.end(), from, to);
}

void remove_nodes(Graph& graph, const std::set<size_t>& removed) {
  std::vector<GraphNode> kept;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!removed.contains(i)) kept.push_back(std::move(graph.nodes[i]));
  }
  graph.nodes = std::move(kept);
}

// permute(x, a) and permute(x, b) with equal a and b: readers of the second read the first.
void merge_equal(Graph& graph) {
  std::set<size_t> removed;
  std::map<TensorId, std::vector<size_t>> of_input;  // permutes kept so far
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    if (node.op != Op::permute) continue;
    auto& earlier = of_input[node.in[0]];
    const auto same = std::find_if(earlier.begin(), earlier.end(), [&](size_t j) {
      return graph.tensors[graph.nodes[j].in[1]].values == graph.tensors[node.in[1]].values;
    });
    if (same == earlier.end()) {
      earlier.push_back(i);
    } else {
      replace_reads(graph, node.out[0], graph.nodes[*same].out[0]);
      removed.insert(i);
    }
  }
  remove_nodes(graph, removed);
}

bool read_once(const Graph& graph, TensorId tensor) {
  return !graph.is_output(tensor) && graph.readers(tensor).size() == 1;
}

// Whether the matmul that writes `tensor` can store its columns in another order, and the adapters'
// change of it too: the tensor and the weight have no other reader.
bool can_order_columns(const Graph& graph, TensorId tensor) {
  const size_t writer = graph.writer(tensor);
  if (writer == graph.nodes.size() || !read_once(graph, tensor)) return false;
  const GraphNode& node = graph.nodes[writer];
  if (node.op == Op::low_rank) return can_order_columns(graph, node.in[1]);
  return node.op == Op::matmul && graph.tensors[node.in[1]].column_order.empty() &&
         graph.readers(node.in[1]).size() == 1;
}

void order_columns(Graph& graph, TensorId tensor, const std::vector<uint32_t>& order) {
  const GraphNode& node = graph.nodes[graph.writer(tensor)];
  if (node.op == Op::low_rank) {
    graph.tensors[node.in[3]].column_order = order;
    return order_columns(graph, node.in[1], order);
  }
  for (size_t i = 1; i < node.in.size(); ++i) graph.tensors[node.in[i]].column_order = order;
}

// Whether the node can store its output in an order and has none yet. A norm of several runs
// cannot: its weight is shorter than the row.
bool can_take_order(const Graph& graph, const GraphNode& node, TensorId order) {
  if (node.op == Op::attention) return node.in.size() == 3;
  return node.op == Op::rms_norm && node.in.size() == 2 &&
         graph.tensors[node.in[1]].dims == graph.tensors[order].dims;
}

// Folds one permute into the node that writes its input. The writer then writes the permute's
// output.
bool fold_into_writer(Graph& graph, const GraphNode& permute) {
  const TensorId x = permute.in[0];
  const TensorId order = permute.in[1];
  const size_t at = graph.writer(x);
  if (at == graph.nodes.size() || !read_once(graph, x)) return false;
  GraphNode& writer = graph.nodes[at];

  if (can_take_order(graph, writer, order)) {
    writer.in.push_back(order);
  } else if ((writer.op == Op::silu_mul || writer.op == Op::gelu_mul) &&
             can_order_columns(graph, writer.in[0]) && can_order_columns(graph, writer.in[1])) {
    const std::vector<uint32_t> values = graph.tensors[order].values;
    order_columns(graph, writer.in[0], values);
    order_columns(graph, writer.in[1], values);
  } else {
    return false;
  }
  writer.out[0] = permute.out[0];
  return true;
}

}  // namespace

FoldReport fold_permutations(Graph& graph) {
  FoldReport report;
  report.permutes_before = count_permutes(graph);
  merge_equal(graph);
  std::set<size_t> removed;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode permute = graph.nodes[i];
    if (permute.op == Op::permute && fold_into_writer(graph, permute)) {
      // The tensor it wrote now has its only writer in the folded node.
      graph.nodes[i].out.clear();
      graph.nodes[i].in.clear();
      removed.insert(i);
    }
  }
  remove_nodes(graph, removed);
  report.permutes_after = count_permutes(graph);
  return report;
}

}  // namespace ropewalk
