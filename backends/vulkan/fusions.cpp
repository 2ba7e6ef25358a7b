#include "backends/vulkan/fusions.h"

#include <algorithm>

#include "core/abi/guard.h"
#include "core/abi/patterns.h"

namespace ropewalk::vulkan {
namespace {

using abi::Graph;
using abi::Node;
using abi::Op;

// Of a dispatch and the barrier before it; both are gone.
constexpr float kGainUs = 5;

// Which nodes run alone: a fusion is no way around a refusal.
class Alone final : public abi::ClaimSink {
 public:
  explicit Alone(const Graph& graph) : claimed_(graph.nodes.size(), false) {
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

void record_node(const Operands& op, Recorder& recorder) {
  switch (op.node().op) {
    case Op::embed:
      return embed(op, recorder);
    case Op::rms_norm:
      return rms_norm(op, recorder);
    case Op::matmul:
      return matmul(op, {Epilogue::Kind::none, {}, op.range(op.out())}, recorder);
    case Op::rope:
      return rope(op, recorder);
    case Op::kv_append:
      return kv_append(op, {}, recorder);
    case Op::attention:
      return attention(op, recorder);
    case Op::silu_mul:
      return silu_mul(op, recorder);
    case Op::add:
      return add(op, recorder);
    case Op::permute:
      return permute(op, recorder);
    case Op::select:
      return select(op, recorder);
  }
}

}  // namespace

std::vector<Fusion> find_fusions(const Graph& graph) {
  std::vector<Fusion> found;
  const Alone alone(graph);
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) {
    const std::span<const Node> rest = graph.nodes.subspan(n);
    if (matches_epilogue(graph, rest) && alone.all(n, 2))
      found.push_back({{n, n + 1}, rest[0].out[0], kGainUs});
    else if (matches_rope_append(graph, rest) && alone.all(n, 3))
      found.push_back({{n, n + 1, n + 2}, rest[1].out[0], 2 * kGainUs});
  }
  return found;
}

void record_step(const Surroundings& around, std::span<const uint32_t> nodes, Recorder& recorder) {
  const auto operands = [&](size_t i) { return Operands(around, around.graph.nodes[nodes[i]]); };
  const auto op = [&](size_t i) { return around.graph.nodes[nodes[i]].op; };
  if (nodes.size() == 1) return record_node(operands(0), recorder);
  if (nodes.size() == 3 && op(2) == Op::kv_append) {
    const Operands q = operands(0), k = operands(1);
    return kv_append(operands(2), {&q, &k}, recorder);
  }
  if (nodes.size() != 2 || op(0) != Op::matmul)
    throw abi::Failure(abi::StatusCode::unsupported, "a step that was never claimed");
  const Operands product = operands(0), last = operands(1);
  const bool adds = op(1) == Op::add;
  const bool sum_is_second = last.node().in[1] == product.node().out[0];
  matmul(product,
         {adds ? Epilogue::Kind::add : Epilogue::Kind::silu_mul, last.range(sum_is_second ? 0 : 1),
          last.range(last.out())},
         recorder);
}

}  // namespace ropewalk::vulkan
