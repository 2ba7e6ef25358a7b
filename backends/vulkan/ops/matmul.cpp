#include <algorithm>

#include "backends/vulkan/ops/product.h"

namespace ropewalk::vulkan {
namespace {

// x is the result of a gate, which gated_matmul() may prepare while it reads an x of its own.
bool is_gate_result(const abi::Graph& graph, uint32_t x) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [x](const abi::Node& node) {
    return node.op == abi::Op::silu_mul && node.out[0] == x;
  });
}

// x of a product and what it reads instead, in the workspace.
Derived prepared(const Operands& product, const PackedShape& weight, PreparedX kind) {
  const CompileContext& context = product.context();
  const bool gated = kind == PreparedX::i8 && is_gate_result(context.graph, product.node().in[0]);
  const VkDeviceAddress begin = gated ? context.gated_x.begin : context.workspace.begin;
  return {product.range(0),
          {begin, begin + prepared_bytes(kind, weight.blocks, product.rows())},
          {static_cast<uint32_t>(kind), weight.bits, weight.rows, weight.group_size,
           product.over_wanted()}};
}

// Where the workgroups of a product share sums. Products of one x run side by side, so each has
// sums and counters of its own: behind those of the products before it.
SplitSize split_sizes_before(const abi::Graph& graph, const abi::Node& product,
                             const abi::ProgramShape& shape, const Features& features) {
  SplitSize sum;
  for (const abi::Node& node : graph.nodes) {
    if (&node == &product) break;
    if (node.op != abi::Op::matmul || node.in[0] != product.in[0]) continue;
    const uint32_t rows = max_rows(shape, extent_of(graph.tensors[node.out[0]]));
    const SplitSize one = split_size(graph.tensors[node.in[1]], rows, features);
    sum.counters += one.counters;
    sum.bytes += one.bytes;
  }
  return sum;
}

struct SplitPlace {
  Range sums, counters;
};
SplitPlace split_place(const Operands& op, const Tiling& tiling, const Features& features) {
  const SplitSize size = split_size_of(tiling, op.width());
  if (size.counters == 0) return {};
  const CompileContext& context = op.context();
  const SplitSize before = split_sizes_before(context.graph, op.node(), op.shape(), features);
  const Range counters = context.counters.first(before.counters + size.counters);
  const VkDeviceAddress sums = context.sums.begin + before.bytes;
  return {{sums, sums + size.bytes},
          {counters.end - size.counters * sizeof(uint32_t), counters.end}};
}

}  // namespace

MatmulPush push_of(const Operands& op, const PackedShape& weight, const Epilogue& epilogue) {
  return {.x = op.at(0),
          .codes = op.at(1),
          .scales = op.at(1) + weight.scales_at,
          .bias = op.at(2),
          .other = epilogue.other.begin,
          .y = epilogue.result.begin,
          .step = op.step(),
          .x_prepared = 0,
          .row_scales = 0,
          .depth = weight.rows,
          .width = op.width(),
          .group_size = weight.group_size,
          .blocks_per_group = weight.blocks_per_group,
          .blocks = weight.blocks,
          .over_wanted = op.over_wanted(),
          .has_bias = op.has(2),
          .first_row = 0};
}

Range prepare_x(const Operands& op, const PackedShape& weight, PreparedX kind, MatmulPush& push,
                Recorder& recorder) {
  if (kind == PreparedX::none) return op.range(0);
  const Derived converted = prepared(op, weight, kind);
  const uint32_t rows = op.rows();
  push.x_prepared = converted.result.begin;
  push.row_scales = converted.result.end - rows * sizeof(float);
  if (recorder.remembers(converted)) return converted.result;
  if (kind == PreparedX::f16) {
    const Constants constants{2 * kElementGroup, 1, weight.bits};
    recorder.dispatch({kXToF16, constants, {1, rows, 1}, 0}, push, {op.range(0)},
                      {converted.result});
  } else {
    constexpr uint32_t kGroup = 32;
    const Constants constants{kGroup, 1, weight.bits, 1, 1, weight.whole_blocks()};
    recorder.dispatch({kXToI8, constants, {(weight.blocks + kGroup - 1) / kGroup, rows, 1}, 0},
                      push, {op.range(0)}, {converted.result});
  }
  recorder.remember(converted);
  return converted.result;
}

std::optional<Derived> planes_of_result(const Operands& op, const Features& features) {
  for (const abi::Node& node : op.context().graph.nodes) {
    if (node.op != abi::Op::matmul || node.in[0] != op.node().out[0]) continue;
    const Operands product(op.context(), node);
    const PackedShape& weight = product.weight(1, abi::WeightUse::matmul);
    const Tiling tiling = tiling_of(features, weight, product.width(), product.rows());
    if (tiling.x == PreparedX::i8 && weight.whole_blocks() && product.rows() == op.rows() &&
        product.over_wanted() == op.over_wanted())
      return prepared(product, weight, tiling.x);
  }
  return std::nullopt;
}

void matmul(const Operands& op, const Epilogue& epilogue, Recorder& recorder) {
  const PackedShape& weight = op.weight(1, abi::WeightUse::matmul);
  const uint32_t rows = op.rows(), width = op.width();
  const Tiling tiling = tiling_of(recorder.features(), weight, width, rows);
  MatmulPush push = push_of(op, weight, epilogue);
  const Range x = prepare_x(op, weight, tiling.x, push, recorder);
  const Constants constants = constants_of(tiling, weight, static_cast<uint32_t>(epilogue.kind));
  const SplitPlace split = split_place(op, tiling, recorder.features());
  if (is_split(tiling)) push.x = split.sums.begin, push.row_scales = split.counters.begin;

  // A product too large for a submission is several dispatches of some rows each.
  const uint32_t tile_rows = tiling.tile_rows(), tile_columns = tiling.tile_columns();
  const double flop_per_row = 2.0 * weight.rows * width;
  const uint32_t at_once =
      tiling.splits_rows ? rows_per_dispatch(recorder.budget() / flop_per_row, tile_rows) : rows;
  const uint64_t row_bytes = uint64_t{width} * sizeof(float);
  const VkDeviceAddress y = epilogue.result.begin;
  for (uint32_t& first = push.first_row; first < rows; first += at_once) {
    const uint32_t count = std::min(at_once, rows - first);
    const Dispatch dispatch{
        *tiling.shader,
        constants,
        {(width + tile_columns - 1) / tile_columns,
         is_split(tiling) ? tiling.splits : (count + tile_rows - 1) / tile_rows, 1},
        flop_per_row * count};
    recorder.dispatch(
        dispatch, push, {x, epilogue.other},
        {{y + first * row_bytes, y + (first + count) * row_bytes}, split.sums, split.counters});
  }
}

void planed_matmul(const Operands& op, const Tiling& tiling, VkDeviceAddress order,
                   const Epilogue& epilogue, Recorder& recorder) {
  const PackedShape& weight = op.weight(1, abi::WeightUse::matmul);
  MatmulPush push = push_of(op, weight, epilogue);
  push.x_prepared = order;
  Constants constants = constants_of(tiling, weight, static_cast<uint32_t>(epilogue.kind));
  constants.insert(constants.end(), {0, 0, 0, weight.blocks, order != 0});
  const uint32_t columns = tiling.tile_columns();
  recorder.dispatch({*tiling.shader,
                     constants,
                     {(op.width() + columns - 1) / columns, 1, 1},
                     2.0 * op.rows() * weight.rows * op.width()},
                    push, {op.range(0), epilogue.other}, {epilogue.result});
}

MatmulWorkspace matmul_workspace(const abi::Graph& graph, const abi::Node& node,
                                 const abi::ProgramShape& shape, const Features& features) {
  const uint32_t rows = max_rows(shape, extent_of(graph.tensors[node.out[0]]));
  const uint64_t bytes = prepared_workspace(graph.tensors[node.in[1]], rows, features);
  const SplitSize before = split_sizes_before(graph, node, shape, features);
  const SplitSize own = split_size(graph.tensors[node.in[1]], rows, features);
  return {bytes, features.integer_dot && is_gate_result(graph, node.in[0]) ? bytes : 0,
          before.bytes + own.bytes};
}

}  // namespace ropewalk::vulkan
