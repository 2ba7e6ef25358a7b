#include "backends/vulkan/program/fusions.h"

#include <algorithm>

#include "backends/vulkan/program/claim.h"
#include "core/abi/patterns.h"

namespace ropewalk::vulkan {
namespace {

using abi::Graph;
using abi::Node;

// What a fusion saves: a dispatch and the barrier before it.
constexpr float kGainUs = 5;

// The nodes that are claimed alone: what is refused may not run in a fusion either.
class ClaimedNodes final : public abi::ClaimSink {
 public:
  explicit ClaimedNodes(const Graph& graph) : claimed_(graph.nodes.size(), false) {
    claim_all(graph, *this);
  }
  void claim(const abi::Claim& claim) noexcept override { claimed_[claim.nodes[0]] = true; }
  void refuse(uint32_t, std::string_view) noexcept override {}
  bool all(uint32_t first, uint32_t count) const {
    const auto begin = claimed_.begin() + first;
    return std::all_of(begin, begin + count, [](bool claimed) { return claimed; });
  }

 private:
  std::vector<bool> claimed_;
};

// Weights that one dispatch of gptq_lean.comp or gptq_qkv.comp can read, but for their widths.
bool are_alike(const Graph& graph, const Node& one, const Node& other) {
  const abi::Tensor &a = graph.tensors[one.in[1]], &b = graph.tensors[other.in[1]];
  return a.dtype == abi::DType::gptq && b.dtype == a.dtype && a.bits == 4 && b.bits == 4 &&
         a.group_size == b.group_size && a.dim[0] == b.dim[0];
}

// Two products of one x, and the silu_mul that alone reads them.
bool matches_gated(const Graph& graph, std::span<const Node> nodes) {
  if (!ops_are(nodes, {abi::Op::matmul, abi::Op::matmul, abi::Op::silu_mul})) return false;
  const Node &gate = nodes[0], &up = nodes[1], &last = nodes[2];
  const abi::Tensor &a = graph.tensors[gate.in[1]], &b = graph.tensors[up.in[1]];
  return gate.in[0] == up.in[0] && are_alike(graph, gate, up) && a.dim[1] == b.dim[1] &&
         last.in[0] == gate.out[0] && last.in[1] == up.out[0] &&
         only_reader(graph, gate.out[0], last) && only_reader(graph, up.out[0], last);
}

bool matches_qkv(const Graph& graph, std::span<const Node> nodes) {
  return matches_qkv_rope_append(graph, nodes) && are_alike(graph, nodes[0], nodes[1]) &&
         are_alike(graph, nodes[0], nodes[2]);
}

// The fusions of products of one x that gptq_lean.comp and gptq_qkv.comp compute at once, from node
// `n` on; none: no nodes.
Fusion find_products(const Graph& graph, uint32_t n) {
  const std::span<const Node> rest = graph.nodes.subspan(n);
  if (matches_qkv(graph, rest))
    return {{n, n + 1, n + 2, n + 3, n + 4, n + 5},
            {rest[0].out[0], rest[1].out[0], rest[2].out[0], rest[4].out[0]},
            5 * kGainUs};
  if (matches_gated(graph, rest))
    return {{n, n + 1, n + 2}, {rest[0].out[0], rest[1].out[0]}, 3 * kGainUs};
  return {};
}

// The same with the rms_norm before it, whose result only these products read.
Fusion find_normed(const Graph& graph, uint32_t n) {
  const Node& norm = graph.nodes[n];
  if (norm.op != abi::Op::rms_norm || n + 1 == graph.nodes.size()) return {};
  Fusion found = find_products(graph, n + 1);
  if (found.nodes.empty()) return {};
  const uint32_t x = norm.out[0], width = graph.tensors[norm.in[1]].dim[0];
  const auto reads = [&](const Node& node) {
    return std::count(node.in.begin(), node.in.end(), x);
  };
  const auto of_fusion = graph.nodes.subspan(n + 1, found.nodes.size());
  const auto all = [&](std::span<const Node> nodes) {
    return std::count_if(nodes.begin(), nodes.end(), reads);
  };
  if (graph.nodes[n + 1].in[0] != x || all(graph.nodes) != all(of_fusion) ||
      std::count(graph.outputs.begin(), graph.outputs.end(), x) ||
      row_width(graph.tensors[x]) != width)
    return {};
  found.nodes.insert(found.nodes.begin(), n);
  found.hidden.insert(found.hidden.begin(), x);
  found.gain_us += 2 * kGainUs;
  return found;
}

// An attention and the product that alone reads its result, with the epilogue behind it if there is
// one.
Fusion find_attended(const Graph& graph, uint32_t n) {
  const std::span<const Node> rest = graph.nodes.subspan(n);
  if (!ops_are(rest, {abi::Op::attention, abi::Op::matmul})) return {};
  const uint32_t y = rest[0].out[0];
  if (rest[1].in[0] != y || !only_reader(graph, y, rest[1]) || !are_alike(graph, rest[1], rest[1]))
    return {};
  if (matches_epilogue(graph, rest.subspan(1)))
    return {{n, n + 1, n + 2}, {y, rest[1].out[0]}, 3 * kGainUs};
  return {{n, n + 1}, {y}, 2 * kGainUs};
}

}  // namespace

std::vector<Fusion> find_fusions(const Graph& graph, const Features& features) {
  std::vector<Fusion> found;
  const ClaimedNodes claimed(graph);
  const auto offer = [&](const Fusion& fusion) {
    const auto count = static_cast<uint32_t>(fusion.nodes.size());
    if (count && claimed.all(fusion.nodes[0], count)) found.push_back(fusion);
  };
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) {
    const std::span<const Node> rest = graph.nodes.subspan(n);
    if (matches_rope_append(graph, rest)) offer({{n, n + 1, n + 2}, {rest[1].out[0]}, 2 * kGainUs});
    if (features.batch_invariant) continue;
    if (matches_epilogue(graph, rest)) offer({{n, n + 1}, {rest[0].out[0]}, kGainUs});
    if (!features.integer_dot) continue;
    offer(find_products(graph, n));
    offer(find_normed(graph, n));
    if (features.combines_last) offer(find_attended(graph, n));
  }
  return found;
}

// What the epilogue of a product or the shader of kv_append takes over is never written.
std::vector<uint32_t> values_between(const Graph& graph, const abi::Claim& step) {
  std::vector<uint32_t> values;
  const Node& last = graph.nodes[step.nodes.back()];
  for (const uint32_t hidden : step.hidden) {
    const auto writes = [&](uint32_t n) {
      return !graph.nodes[n].out.empty() && graph.nodes[n].out[0] == hidden;
    };
    const Node& writer = graph.nodes[*std::find_if(step.nodes.begin(), step.nodes.end(), writes)];
    const bool in_epilogue =
        writer.op == abi::Op::matmul &&
        (last.op == abi::Op::add || (last.op == abi::Op::silu_mul && last.in[1] == hidden));
    if (writer.op != abi::Op::rope && !in_epilogue) values.push_back(hidden);
  }
  return values;
}

}  // namespace ropewalk::vulkan
