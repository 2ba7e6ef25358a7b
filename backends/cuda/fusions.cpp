#include "backends/cuda/fusions.h"

#include <algorithm>

#include "backends/cuda/ops/ops.h"

namespace ropewalk::cuda {
namespace {

using abi::Graph;
using abi::Node;
using abi::Op;

// A kernel's boundary within a CUDA graph, as Hazy Research found it on an H100 ("No Bubbles"); not
// measured here.
constexpr float kLaunchUs = 1.3f;

bool only_reader(const Graph& graph, uint32_t tensor, const Node& node) {
  if (std::count(graph.outputs.begin(), graph.outputs.end(), tensor)) return false;
  for (const Node& other : graph.nodes)
    if (&other != &node && std::count(other.in.begin(), other.in.end(), tensor)) return false;
  return std::count(node.in.begin(), node.in.end(), tensor) == 1;
}

// What the kernel of kv_append alone can do, and both rotations of its head size and one scale.
bool turns_and_appends(const Graph& graph, std::span<const Node> nodes) {
  if (nodes.size() < 3 || nodes[0].op != Op::rope || nodes[1].op != Op::rope ||
      nodes[2].op != Op::kv_append)
    return false;
  const uint32_t q = nodes[0].out[0], k = nodes[1].out[0];
  const abi::Tensor& keys = graph.tensors[nodes[2].in[2]];
  return keys.dtype != abi::DType::f32 && keys.dim[3] <= kMostHeadDim &&
         nodes[0].scalar == nodes[1].scalar && nodes[2].in[0] == k && nodes[2].in[1] != q &&
         nodes[1].in[0] != q && graph.tensors[q].dim[2] == keys.dim[3] &&
         graph.tensors[k].dim[2] == keys.dim[3] && only_reader(graph, k, nodes[2]);
}

}  // namespace

void claim_fusions(const Graph& graph, abi::ClaimSink& sink) {
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) {
    const std::span<const Node> rest = graph.nodes.subspan(n);
    if (!turns_and_appends(graph, rest)) continue;
    const uint32_t nodes[] = {n, n + 1, n + 2};
    sink.claim({nodes, {&rest[1].out[0], 1}, 2 * kLaunchUs});
  }
}

}  // namespace ropewalk::cuda
