#include "backends/cuda/program/fusions.h"

#include <array>
#include <vector>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/product.h"
#include "core/abi/patterns.h"

namespace ropewalk::cuda {
namespace {

using abi::Graph;
using abi::Node;
using abi::Op;
using abi::Tensor;

using Nodes = std::span<const Node>;

// The gap between two kernels of a CUDA graph, as Hazy Research found it on an H100 ("No Bubbles");
// not measured here.
constexpr float kLaunchUs = 1.3f;

const Tensor& weight_of(const Graph& graph, const Node& node) { return graph.tensors[node.in[1]]; }

bool is_packed(const Graph& graph, const Node& node) {
  return node.op == Op::matmul && weight_of(graph, node).dtype == abi::DType::gptq;
}

// How many matmuls at the front of `nodes` one launch can compute.
uint32_t siblings(const Graph& graph, Nodes nodes) {
  if (!is_packed(graph, nodes[0])) return 0;
  const Tensor& first = weight_of(graph, nodes[0]);
  uint32_t count = 1;
  while (count < kMaxParts && count < nodes.size() && is_packed(graph, nodes[count]) &&
         nodes[count].in[0] == nodes[0].in[0]) {
    const Tensor& weight = weight_of(graph, nodes[count]);
    if (weight.dim[0] != first.dim[0] || weight.bits != first.bits ||
        weight.group_size != first.group_size)
      break;
    ++count;
  }
  return count;
}

bool matches_gate_up(const Graph& graph, Nodes nodes) {
  if (!ops_are(nodes, {Op::matmul, Op::matmul}) || siblings(graph, nodes) < 2 || nodes.size() < 3 ||
      (nodes[2].op != Op::silu_mul && nodes[2].op != Op::gelu_mul))
    return false;
  const uint32_t gate = nodes[0].out[0], up = nodes[1].out[0];
  return weight_of(graph, nodes[0]).dim[1] == weight_of(graph, nodes[1]).dim[1] &&
         nodes[2].in[0] == gate && nodes[2].in[1] == up && only_reader(graph, gate, nodes[2]) &&
         only_reader(graph, up, nodes[2]);
}

bool can_rope_append(const Graph& graph, Nodes nodes) {
  if (!abi::matches_rope_append(graph, nodes)) return false;
  const Tensor& keys = graph.tensors[nodes[2].in[2]];
  return keys.dtype != abi::DType::f32 && keys.dim[3] <= kMaxHeadDim;
}

// A head is a whole number of column tiles, so that a thread block can finish one.
bool can_qkv_rope_append(const Graph& graph, Nodes nodes) {
  return nodes.size() >= 6 && siblings(graph, nodes) == 3 &&
         can_rope_append(graph, nodes.subspan(3)) && abi::matches_qkv_rope_append(graph, nodes) &&
         graph.tensors[nodes[5].in[2]].dim[3] % gptq::kTileColumns == 0;
}

// Offers nodes [first, first + count).
void offer(uint32_t first, uint32_t count, std::span<const uint32_t> hidden, abi::ClaimSink& sink) {
  std::vector<uint32_t> nodes(count);
  for (uint32_t i = 0; i < count; ++i) nodes[i] = first + i;
  sink.claim({nodes, hidden, static_cast<float>(count - 1) * kLaunchUs});
}

}  // namespace

void claim_fusions(const Graph& graph, Batches batches, abi::ClaimSink& sink) {
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) {
    const Nodes rest = graph.nodes.subspan(n);
    const auto out = [&](uint32_t i) { return rest[i].out[0]; };
    if (can_rope_append(graph, rest)) offer(n, 3, std::array{out(1)}, sink);
    if (batches == Batches::invariant) continue;
    if (can_qkv_rope_append(graph, rest))
      offer(n, 6, std::array{out(0), out(1), out(2), out(4)}, sink);
    if (matches_gate_up(graph, rest)) offer(n, 3, std::array{out(0), out(1)}, sink);
    if (is_packed(graph, rest[0]) && matches_epilogue(graph, rest))
      offer(n, 2, std::array{out(0)}, sink);
    if (const uint32_t count = siblings(graph, rest); count > 1) offer(n, count, {}, sink);
  }
}

}  // namespace ropewalk::cuda
