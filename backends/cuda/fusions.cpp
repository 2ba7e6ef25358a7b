#include "backends/cuda/fusions.h"

#include <algorithm>
#include <array>
#include <vector>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/product.h"

namespace ropewalk::cuda {
namespace {

using abi::Graph;
using abi::Node;
using abi::Op;
using abi::Tensor;

using Nodes = std::span<const Node>;

// A kernel's boundary within a CUDA graph, as Hazy Research found it on an H100 ("No Bubbles"); not
// measured here.
constexpr float kLaunchUs = 1.3f;

bool only_reader(const Graph& graph, uint32_t tensor, const Node& node) {
  if (std::count(graph.outputs.begin(), graph.outputs.end(), tensor)) return false;
  for (const Node& other : graph.nodes)
    if (&other != &node && std::count(other.in.begin(), other.in.end(), tensor)) return false;
  return std::count(node.in.begin(), node.in.end(), tensor) == 1;
}

bool ops_are(Nodes nodes, std::initializer_list<Op> ops) {
  return nodes.size() >= ops.size() &&
         std::equal(ops.begin(), ops.end(), nodes.begin(),
                    [](Op op, const Node& node) { return node.op == op; });
}

const Tensor& weight_of(const Graph& graph, const Node& node) { return graph.tensors[node.in[1]]; }

bool is_packed(const Graph& graph, const Node& node) {
  return node.op == Op::matmul && weight_of(graph, node).dtype == abi::DType::gptq;
}

// As many matmuls at the front of `nodes` as one launch can make.
uint32_t siblings(const Graph& graph, Nodes nodes) {
  if (!is_packed(graph, nodes[0])) return 0;
  const Tensor& first = weight_of(graph, nodes[0]);
  uint32_t count = 1;
  while (count < kMostParts && count < nodes.size() && is_packed(graph, nodes[count]) &&
         nodes[count].in[0] == nodes[0].in[0]) {
    const Tensor& weight = weight_of(graph, nodes[count]);
    if (weight.dim[0] != first.dim[0] || weight.bits != first.bits ||
        weight.group_size != first.group_size)
      break;
    ++count;
  }
  return count;
}

// The sum goes nowhere but into the node after it, which is no sum of twice the same.
bool takes_the_sum(const Graph& graph, Nodes nodes) {
  if (!is_packed(graph, nodes[0]) || nodes.size() < 2) return false;
  const uint32_t sum = nodes[0].out[0];
  const bool adds = nodes[1].op == Op::add;
  const bool weighs = nodes[1].op == Op::silu_mul && nodes[1].in[1] == sum;
  return (adds || weighs) && only_reader(graph, sum, nodes[1]);
}

bool gates(const Graph& graph, Nodes nodes) {
  if (!ops_are(nodes, {Op::matmul, Op::matmul, Op::silu_mul}) || siblings(graph, nodes) < 2)
    return false;
  const uint32_t gate = nodes[0].out[0], up = nodes[1].out[0];
  return weight_of(graph, nodes[0]).dim[1] == weight_of(graph, nodes[1]).dim[1] &&
         nodes[2].in[0] == gate && nodes[2].in[1] == up && only_reader(graph, gate, nodes[2]) &&
         only_reader(graph, up, nodes[2]);
}

// What the kernel of kv_append alone can do, and both rotations of its head size and one scale.
bool turns_and_appends(const Graph& graph, Nodes nodes) {
  if (!ops_are(nodes, {Op::rope, Op::rope, Op::kv_append})) return false;
  const uint32_t q = nodes[0].out[0], k = nodes[1].out[0];
  const Tensor& keys = graph.tensors[nodes[2].in[2]];
  return keys.dtype != abi::DType::f32 && keys.dim[3] <= kMostHeadDim &&
         nodes[0].rope().scale == nodes[1].rope().scale && nodes[2].in[0] == k &&
         nodes[2].in[1] != q && nodes[1].in[0] != q && graph.tensors[q].dim[2] == keys.dim[3] &&
         graph.tensors[k].dim[2] == keys.dim[3] && only_reader(graph, k, nodes[2]);
}

// Whole tiles of columns make a head, so that a thread block can finish one.
bool makes_heads(const Graph& graph, Nodes nodes) {
  if (nodes.size() < 6 || siblings(graph, nodes) != 3 ||
      !turns_and_appends(graph, nodes.subspan(3)))
    return false;
  const uint32_t q = nodes[0].out[0], k = nodes[1].out[0], v = nodes[2].out[0];
  const Tensor& keys = graph.tensors[nodes[5].in[2]];
  const uint32_t kv_width = keys.dim[2] * keys.dim[3];
  return keys.dim[3] % gptq::kTileColumns == 0 && nodes[3].in[0] == q && nodes[4].in[0] == k &&
         nodes[5].in[1] == v && weight_of(graph, nodes[0]).dim[1] % keys.dim[3] == 0 &&
         weight_of(graph, nodes[1]).dim[1] == kv_width &&
         weight_of(graph, nodes[2]).dim[1] == kv_width && only_reader(graph, q, nodes[3]) &&
         only_reader(graph, k, nodes[4]) && only_reader(graph, v, nodes[5]);
}

// Offers nodes [first, first + count).
void offer(uint32_t first, uint32_t count, std::span<const uint32_t> hidden, abi::ClaimSink& sink) {
  std::vector<uint32_t> nodes(count);
  for (uint32_t i = 0; i < count; ++i) nodes[i] = first + i;
  sink.claim({nodes, hidden, static_cast<float>(count - 1) * kLaunchUs});
}

}  // namespace

void claim_fusions(const Graph& graph, abi::ClaimSink& sink) {
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) {
    const Nodes rest = graph.nodes.subspan(n);
    const auto out = [&](uint32_t i) { return rest[i].out[0]; };
    if (turns_and_appends(graph, rest)) offer(n, 3, std::array{out(1)}, sink);
    if (makes_heads(graph, rest)) offer(n, 6, std::array{out(0), out(1), out(2), out(4)}, sink);
    if (gates(graph, rest)) offer(n, 3, std::array{out(0), out(1)}, sink);
    if (takes_the_sum(graph, rest)) offer(n, 2, std::array{out(0)}, sink);
    if (const uint32_t count = siblings(graph, rest); count > 1) offer(n, count, {}, sink);
  }
}

}  // namespace ropewalk::cuda
