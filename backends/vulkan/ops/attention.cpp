#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {
namespace {

// Splits of the keys that give a GPU with some hundred compute units enough to do; each split's
// output goes through memory, so no more than that.
uint32_t splits_of(const abi::ProgramShape& shape, uint32_t heads, const Features& features) {
  constexpr uint32_t kEnoughGroups = 512, kMostSplits = 32;
  if (features.info.type == abi::DeviceType::software) return 1;
  const uint32_t wanted = kEnoughGroups / std::max(1u, shape.rows * heads);
  return std::clamp(wanted, 1u, std::min(kMostSplits, shape.pages_per_sequence));
}

uint64_t partial_bytes(uint64_t rows, uint64_t heads, uint64_t splits, uint64_t head_dim) {
  return rows * heads * splits * (2 + head_dim) * sizeof(float);
}

}  // namespace

uint64_t attention_workspace(const abi::Graph& graph, const abi::Node& node,
                             const abi::ProgramShape& shape, const Features& features) {
  const uint32_t head_dim = graph.tensors[node.in[1]].dim[3];
  const auto heads = static_cast<uint32_t>(row_width(graph.tensors[node.in[0]]) / head_dim);
  const uint32_t splits = splits_of(shape, heads, features);
  return splits == 1 && node.in.size() == 3 ? 0
                                            : partial_bytes(shape.rows, heads, splits, head_dim);
}

void attention(const Operands& op, Recorder& recorder) {
  const abi::Tensor& cache = op.in(1);
  const abi::ProgramShape& shape = op.around().shape;
  const Features& features = recorder.features();
  const uint32_t head_dim = cache.dim[3], heads = op.width() / head_dim;
  const uint32_t splits = splits_of(shape, heads, features);
  const bool whole = splits == 1 && !op.has(3);
  const Range partial = whole ? op.range(op.out()) : op.around().workspace;

  const struct {
    VkDeviceAddress q, keys, values, y, partial, step;
    uint32_t heads, kv_heads, splits;
    float scale;
  } push{op.at(0),         op.at(1), op.at(2),     op.result(), partial.begin,
         op.around().step, heads,    cache.dim[2], splits,      op.node().scalar};
  const bool software = features.info.type == abi::DeviceType::software;
  const uint32_t lanes = software ? features.subgroup_size : 64;
  const Dispatch scores{
      kAttention,
      {lanes, 1, head_dim, elements_of_word(cache.dtype),
       op.node().keys == abi::KeyRotation::on_read, whole},
      {heads, shape.rows, splits},
      4.0 * shape.rows * op.width() * shape.pages_per_sequence * abi::kPageTokens};
  recorder.dispatch(scores, push, {op.range(0), op.range(1), op.range(2)}, {partial});
  if (whole) return;

  const struct {
    VkDeviceAddress partial, order, y, step;
    uint32_t width, head_dim, splits;
  } combine{partial.begin, op.at(3), op.result(), op.around().step, op.width(), head_dim, splits};
  const Dispatch folded{
      kAttentionCombine, {kElementGroup, 1, op.has(3)}, element_groups(op.width(), shape.rows), 0};
  recorder.dispatch(folded, combine, {partial}, {op.range(op.out())});
}

}  // namespace ropewalk::vulkan
