// patterns.h — runs of nodes that a backend may execute as one step. Here are the conditions that
// follow from the graph; a backend adds those of its kernels.
//
// Header-only and stateless. `nodes` starts at the first node of the run and may extend past it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "core/abi/graph.h"

namespace ropewalk::abi {

inline bool ops_are(std::span<const Node> nodes, std::initializer_list<Op> ops) {
  return nodes.size() >= ops.size() &&
         std::equal(ops.begin(), ops.end(), nodes.begin(),
                    [](Op op, const Node& node) { return node.op == op; });
}

// `node` is the only reader of the tensor, and reads it once.
inline bool only_reader(const Graph& graph, uint32_t tensor, const Node& node) {
  if (std::count(graph.outputs.begin(), graph.outputs.end(), tensor)) return false;
  for (const Node& other : graph.nodes)
    if (&other != &node && std::count(other.in.begin(), other.in.end(), tensor)) return false;
  return std::count(node.in.begin(), node.in.end(), tensor) == 1;
}

// matmul, and an add of scale 1 or a silu_mul that is the only reader of its output; silu_mul reads
// it as `up`.
inline bool matches_epilogue(const Graph& graph, std::span<const Node> nodes) {
  if (!ops_are(nodes, {Op::matmul, Op::add}) && !ops_are(nodes, {Op::matmul, Op::silu_mul}))
    return false;
  if (nodes[1].op == Op::add && nodes[1].add().scale != 1) return false;
  const uint32_t sum = nodes[0].out[0];
  if (nodes[1].op == Op::silu_mul && nodes[1].in[1] != sum) return false;
  return only_reader(graph, sum, nodes[1]);
}

// Rope of queries, rope of keys, kv_append of those keys: both ropes with the cache's head size and
// one scale and table, and no other node reads the rotated keys.
inline bool matches_rope_append(const Graph& graph, std::span<const Node> nodes) {
  if (!ops_are(nodes, {Op::rope, Op::rope, Op::kv_append})) return false;
  const uint32_t q = nodes[0].out[0], k = nodes[1].out[0];
  const uint32_t head_dim = graph.tensors[nodes[2].in[2]].dim[3];
  const RopeParams &of_q = nodes[0].rope(), &of_k = nodes[1].rope();
  return of_q.scale == of_k.scale && of_q.table == of_k.table && nodes[2].in[0] == k &&
         nodes[2].in[1] != q && nodes[1].in[0] != q && graph.tensors[q].dim[2] == head_dim &&
         graph.tensors[k].dim[2] == head_dim && only_reader(graph, k, nodes[2]);
}

// Three matmuls of one x, whose columns are heads of queries, keys and values, and what
// matches_rope_append() finds behind them; no other node reads the products.
inline bool matches_qkv_rope_append(const Graph& graph, std::span<const Node> nodes) {
  if (!ops_are(nodes, {Op::matmul, Op::matmul, Op::matmul}) ||
      !matches_rope_append(graph, nodes.subspan(3)))
    return false;
  const auto width = [&](size_t i) { return graph.tensors[nodes[i].in[1]].dim[1]; };
  const uint32_t q = nodes[0].out[0], k = nodes[1].out[0], v = nodes[2].out[0];
  const Tensor& keys = graph.tensors[nodes[5].in[2]];
  const uint32_t kv_width = keys.dim[2] * keys.dim[3];
  return nodes[1].in[0] == nodes[0].in[0] && nodes[2].in[0] == nodes[0].in[0] &&
         nodes[3].in[0] == q && nodes[4].in[0] == k && nodes[5].in[1] == v &&
         width(0) % keys.dim[3] == 0 && width(1) == kv_width && width(2) == kv_width &&
         only_reader(graph, q, nodes[3]) && only_reader(graph, k, nodes[4]) &&
         only_reader(graph, v, nodes[5]);
}

}  // namespace ropewalk::abi
