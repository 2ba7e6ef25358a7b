// Reading ahead: the beginning of the next product's weights, beside a step that leaves the memory
// idle.
#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {
namespace {

using abi::Op;

bool is_product(const abi::Node& node) { return node.op == Op::matmul; }

// A norm is one workgroup, and attention over a short text a few.
bool leaves_memory_idle(const abi::Node& node) {
  return node.op == Op::rms_norm || node.op == Op::attention;
}

}  // namespace

void prefetch(const CompileContext& context, std::span<const uint32_t> now,
              std::span<const uint32_t> next, uint64_t bytes, Recorder& recorder) {
  const auto node = [&](uint32_t n) -> const abi::Node& { return context.graph.nodes[n]; };
  if (now.size() != 1 || !leaves_memory_idle(node(now[0]))) return;
  const auto products =
      std::count_if(next.begin(), next.end(), [&](uint32_t n) { return is_product(node(n)); });
  constexpr uint64_t kGroup = 64, kVectors = 32, kGroupBytes = kGroup * kVectors * 16;
  for (const uint32_t n : next) {
    if (!is_product(node(n))) continue;
    const Range weight = Operands(context, node(n)).range(1);
    const uint64_t share =
        std::min(bytes / static_cast<uint64_t>(products), weight.end - weight.begin);
    const StreamPush push{.from = weight.begin,
                          .to = weight.begin,
                          .vectors = static_cast<uint32_t>(share / 16),
                          .what = Stream::read};
    if (const uint64_t groups = share / kGroupBytes)
      recorder.dispatch({kStream, {kGroup, 1, kVectors}, {groups, 1, 1}, 0}, push, {}, {});
  }
}

}  // namespace ropewalk::vulkan
