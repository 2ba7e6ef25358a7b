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

// Two products of one x as gptq_lean.comp takes them, and the silu_mul that alone reads them.
bool matches_gated(const Graph& graph, std::span<const Node> nodes) {
  if (!ops_are(nodes, {abi::Op::matmul, abi::Op::matmul, abi::Op::silu_mul})) return false;
  const Node &gate = nodes[0], &up = nodes[1], &last = nodes[2];
  const abi::Tensor &a = graph.tensors[gate.in[1]], &b = graph.tensors[up.in[1]];
  return gate.in[0] == up.in[0] && a.dtype == abi::DType::gptq && b.dtype == a.dtype &&
         a.bits == 4 && b.bits == 4 && a.group_size == b.group_size && a.dim[0] == b.dim[0] &&
         a.dim[1] == b.dim[1] && last.in[0] == gate.out[0] && last.in[1] == up.out[0] &&
         only_reader(graph, gate.out[0], last) && only_reader(graph, up.out[0], last);
}

}  // namespace

std::vector<Fusion> find_fusions(const Graph& graph, const Features& features) {
  std::vector<Fusion> found;
  const ClaimedNodes claimed(graph);
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) {
    const std::span<const Node> rest = graph.nodes.subspan(n);
    if (matches_epilogue(graph, rest) && claimed.all(n, 2))
      found.push_back({{n, n + 1}, {rest[0].out[0]}, kGainUs});
    else if (matches_rope_append(graph, rest) && claimed.all(n, 3))
      found.push_back({{n, n + 1, n + 2}, {rest[1].out[0]}, 2 * kGainUs});
    else if (features.integer_dot && matches_gated(graph, rest) && claimed.all(n, 3))
      found.push_back({{n, n + 1, n + 2}, {rest[0].out[0], rest[1].out[0]}, 3 * kGainUs});
  }
  return found;
}

}  // namespace ropewalk::vulkan
