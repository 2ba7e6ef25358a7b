#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {
namespace {

constexpr uint32_t kPanel = 32;         // ranks of a workgroup of low_rank_shrink.comp
constexpr uint32_t kShrinkGroup = 128;  // its invocations
constexpr uint32_t kExpandGroup = 64;   // of low_rank_expand.comp, two columns each

// Parts of K that workgroups sum on their own: enough to fill a GPU with one row.
uint32_t depth_splits_of(uint32_t depth) {
  constexpr uint32_t kDepth = 512, kMost = 16;
  return std::min((depth + kDepth - 1) / kDepth, kMost);
}

}  // namespace

uint64_t low_rank_workspace(const abi::Graph& graph, const abi::Node& node,
                            const abi::ProgramShape& shape) {
  const abi::Tensor& a = graph.tensors[node.in[2]];  // (slots, depth, cap)
  const uint32_t rows = max_rows(shape, extent_of(graph.tensors[node.out[0]]));
  return uint64_t{rows} * depth_splits_of(a.dim[1]) * a.dim[2] * sizeof(float);
}

void low_rank(const Operands& op, Recorder& recorder) {
  const uint32_t depth = op.width_in(), width = op.width(), cap = op.in(2).dim[2];
  const uint32_t stride = op.in(3).dim[2], splits = depth_splits_of(depth), rows = op.rows();
  // Few rows are replies, each perhaps with an adapter of its own, so that they run side by side.
  const uint32_t tile = rows <= 8 || recorder.features().batch_invariant ? 1 : 8;
  const uint32_t tiles = (rows + tile - 1) / tile;
  const VkDeviceAddress begin = op.context().partials.begin;
  const Range partials{begin,
                       begin + low_rank_workspace(op.context().graph, op.node(), op.shape())};

  const struct {
    VkDeviceAddress x, a, ranks, partials, step;
    uint32_t depth, cap, splits, over_wanted;
  } shrink{.x = op.at(0),
           .a = op.at(2),
           .ranks = op.at(4),
           .partials = begin,
           .step = op.step(),
           .depth = depth,
           .cap = cap,
           .splits = splits,
           .over_wanted = op.over_wanted()};
  recorder.dispatch({kLowRankShrink,
                     {kShrinkGroup, 1, tile},
                     {cap / kPanel, splits, tiles},
                     2.0 * rows * depth * cap},
                    shrink, {op.range(0)}, {partials});

  const struct {
    VkDeviceAddress partials, y, b, ranks, vectors, result, step;
    uint32_t width, stride, splits, over_wanted, has_vectors;
  } expand{.partials = begin,
           .y = op.at(1),
           .b = op.at(3),
           .ranks = op.at(4),
           .vectors = op.at(5),
           .result = op.result_at(),
           .step = op.step(),
           .width = width,
           .stride = stride,
           .splits = splits,
           .over_wanted = op.over_wanted(),
           .has_vectors = op.has(5)};
  recorder.dispatch({kLowRankExpand,
                     {kExpandGroup, 1, tile, cap},
                     {(width + 2 * kExpandGroup - 1) / (2 * kExpandGroup), tiles, 1},
                     2.0 * rows * cap * width},
                    expand, {partials, op.range(1)}, {op.result()});
}

}  // namespace ropewalk::vulkan
