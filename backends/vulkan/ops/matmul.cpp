#include <algorithm>

#include "backends/vulkan/ops/ops.h"
#include "backends/vulkan/ops/tiling.h"

namespace ropewalk::vulkan {
namespace {

// The block of weights.glsl.
struct Push {
  VkDeviceAddress x, codes, scales, bias, other, y, step, halves, row_scales;
  uint32_t depth, width, group_size, blocks_per_group, blocks, over_wanted, has_bias, first_row;
};

// x as f16, in the workspace; products of the same x share it, and so may run side by side.
Range make_half_rows(const Operands& op, const PackedShape& weight, Push& push,
                     Recorder& recorder) {
  const uint32_t rows = op.rows();
  const VkDeviceAddress begin = op.around().workspace.begin;
  const Range made{begin, begin + half_rows_bytes(weight.blocks, rows)};
  push.halves = begin;
  push.row_scales = made.end - rows * sizeof(float);
  const Derived halves{
      op.range(0), made, {weight.bits, weight.rows, weight.group_size, op.over_wanted()}};
  if (recorder.remembers(halves)) return made;
  const Dispatch dispatch{kHalfRows, {2 * kElementGroup, 1, weight.bits}, {1, rows, 1}, 0};
  recorder.dispatch(dispatch, push, {op.range(0)}, {made});
  recorder.remember(halves);
  return made;
}

}  // namespace

void matmul(const Operands& op, const Epilogue& epilogue, Recorder& recorder) {
  const PackedShape& weight = op.weight(1, abi::WeightUse::matmul);
  const uint32_t rows = op.rows(), width = op.width();
  const Tiling tiling = tiling_of(recorder.features(), weight, width, rows);
  const VkDeviceAddress codes = op.at(1);
  Push push{op.at(0),
            codes,
            codes + weight.scales_at,
            op.at(2),
            epilogue.other.begin,
            epilogue.result.begin,
            op.around().step,
            0,
            0,
            weight.rows,
            width,
            weight.group_size,
            weight.blocks_per_group,
            weight.blocks,
            op.over_wanted(),
            op.has(2),
            0};
  const Range x = tiling.half_x ? make_half_rows(op, weight, push, recorder) : op.range(0);
  const Constants constants = constants_of(tiling, weight, static_cast<uint32_t>(epilogue.kind));
  const uint32_t tile_rows = tiling.tile_rows(), tile_columns = tiling.tile_columns();
  const double flop_of_row = 2.0 * weight.rows * width;
  const uint32_t piece =
      tiling.cuts_rows ? rows_at_once(recorder.budget() / flop_of_row, tile_rows) : rows;
  const VkDeviceAddress y = epilogue.result.begin;
  for (uint32_t& first = push.first_row; first < rows; first += piece) {
    const uint32_t count = std::min(piece, rows - first);
    const Dispatch dispatch{
        *tiling.shader,
        constants,
        {(width + tile_columns - 1) / tile_columns, (count + tile_rows - 1) / tile_rows, 1},
        flop_of_row * count};
    const uint64_t row_bytes = uint64_t{width} * sizeof(float);
    recorder.dispatch(dispatch, push, {x, epilogue.other},
                      {{y + first * row_bytes, y + (first + count) * row_bytes}});
  }
}

uint64_t matmul_workspace(const abi::Graph& graph, const abi::Node& node,
                          const abi::ProgramShape& shape, const Features& features) {
  const uint32_t rows = max_rows(shape, extent_of(graph.tensors[node.out[0]]));
  return half_rows_workspace(graph.tensors[node.in[1]], rows, features);
}

}  // namespace ropewalk::vulkan
