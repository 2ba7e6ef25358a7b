// Reading ahead: the beginning of the next product's weights, beside a step that leaves the memory
// idle.
#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {
namespace {

using abi::Op;

// A norm is one workgroup, and attention over a short text a few.
bool leaves_memory_idle(const abi::Node& node) {
  return node.op == Op::rms_norm || node.op == Op::attention;
}

}  // namespace

void prefetch(const CompileContext& context, std::span<const Operands> products,
              Recorder& recorder) {
  constexpr uint64_t kGroup = 64, kVectors = 32, kGroupBytes = kGroup * kVectors * 16;
  for (const Operands& product : products) {
    const Range weight = product.range(1);
    const uint64_t share =
        std::min(context.prefetch_bytes / products.size(), weight.end - weight.begin);
    const StreamPush push{.from = weight.begin,
                          .to = weight.begin,
                          .vectors = static_cast<uint32_t>(share / 16),
                          .what = Stream::read};
    if (const uint64_t groups = share / kGroupBytes)
      recorder.dispatch({kStream, {kGroup, 1, kVectors}, {groups, 1, 1}, 0}, push, {}, {});
  }
}

void prefetch_between(const CompileContext& context, std::span<const uint32_t> now,
                      std::span<const uint32_t> next, Recorder& recorder) {
  const auto node = [&](uint32_t n) -> const abi::Node& { return context.graph.nodes[n]; };
  if (now.size() != 1 || !leaves_memory_idle(node(now[0]))) return;
  std::vector<Operands> products;
  for (const uint32_t n : next)
    if (node(n).op == Op::matmul) products.emplace_back(context, node(n));
  prefetch(context, products, recorder);
}

}  // namespace ropewalk::vulkan
