#include "core/graph/scratch_plan.h"

#include <algorithm>
#include <limits>

namespace ropewalk {
namespace {

// Enough for any vector load and for the offsets of storage buffers (Vulkan asks for at most 256).
constexpr uint64_t kAlignment = 256;

struct Life {
  TensorId tensor;
  uint64_t bytes;
  size_t first, last;  // steps, inclusive
};

std::vector<Life> lives(const Graph& graph, const std::vector<OwnedClaim>& steps, uint32_t rows,
                        uint32_t wanted) {
  constexpr size_t kNever = std::numeric_limits<size_t>::max();
  std::vector<size_t> first(graph.tensors.size(), kNever), last(graph.tensors.size(), 0);
  std::vector<bool> hidden(graph.tensors.size(), false);
  for (size_t s = 0; s < steps.size(); ++s) {
    for (const TensorId t : steps[s].hidden) hidden[t] = true;
    for (const uint32_t n : steps[s].nodes) {
      for (const TensorId t : graph.nodes[n].out) {
        first[t] = std::min(first[t], s);
        last[t] = std::max(last[t], s);
      }
      for (const TensorId t : graph.nodes[n].in) last[t] = std::max(last[t], s);
    }
  }
  for (const TensorId t : graph.outputs) last[t] = steps.size();

  std::vector<Life> found;
  for (TensorId t = 0; t < graph.tensors.size(); ++t) {
    if (graph.tensors[t].kind != abi::TensorKind::scratch || hidden[t] || first[t] == kNever)
      continue;
    const uint64_t bytes = graph.bytes(t, rows, wanted);
    found.push_back({t, (bytes + kAlignment - 1) / kAlignment * kAlignment, first[t], last[t]});
  }
  return found;
}

}  // namespace

// Greedy by size: the largest value first, each at the lowest offset that is free for its whole
// lifetime. Within a few percent of optimal for chains such as a transformer's.
ScratchPlan plan_scratch(const Graph& graph, const std::vector<OwnedClaim>& steps, uint32_t rows,
                         uint32_t wanted) {
  std::vector<Life> todo = lives(graph, steps, rows, wanted);
  std::stable_sort(todo.begin(), todo.end(),
                   [](const Life& a, const Life& b) { return a.bytes > b.bytes; });
  struct Placed {
    Life life;
    uint64_t offset;
  };
  std::vector<Placed> placed;  // in order of offset
  ScratchPlan plan;
  plan.slices.resize(graph.tensors.size());
  for (const Life& life : todo) {
    uint64_t offset = 0;
    for (const Placed& other : placed) {
      const bool together = other.life.first <= life.last && life.first <= other.life.last;
      if (!together) continue;
      if (offset + life.bytes <= other.offset) break;
      offset = std::max(offset, other.offset + other.life.bytes);
    }
    const auto at = std::upper_bound(placed.begin(), placed.end(), offset,
                                     [](uint64_t o, const Placed& p) { return o < p.offset; });
    placed.insert(at, {life, offset});
    plan.slices[life.tensor] = {{}, offset, life.bytes};
    plan.bytes = std::max(plan.bytes, offset + life.bytes);
  }
  return plan;
}

}  // namespace ropewalk
