#include <algorithm>
#include <bit>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {
namespace {

constexpr uint32_t kMostVectorRows = 8;  // beyond, columns are no longer read once

// How a matmul is cut into invocations: the constants of weights.glsl.
struct Tiling {
  uint32_t lanes;    // columns beside one another
  uint32_t depth;    // slices of the sum (matvec), tiles of rows (matmul)
  uint32_t rows;     // of x, of an invocation
  uint32_t columns;  // of an invocation
  bool shuffles;     // x is spread among a subgroup
};

// A processor's vectors: few lanes, and each lane of a load costs as much as several vectors of
// arithmetic. So x is loaded once for a vector and spread, and an invocation has as many columns as
// leave every core some workgroups; more than 8 take the driver seconds to compile.
Tiling software_tiling(const Features& features, uint32_t width, uint32_t rows) {
  constexpr uint32_t kLeastGroups = 8, kMostColumns = 8;
  const uint32_t lanes = features.subgroup_size;
  const bool spreads = features.subgroup_shuffle && lanes >= 8 && lanes <= kBlock;
  const uint32_t columns = std::clamp(width / (lanes * kLeastGroups), 1u, kMostColumns);
  return {lanes, 1, std::min(std::bit_ceil(rows), kMostVectorRows), std::bit_floor(columns),
          spreads};
}

Tiling gpu_tiling(const Features& features, const PackedShape& weight, uint32_t rows) {
  const uint32_t lanes = std::clamp(features.subgroup_size, 32u, 64u);
  if (rows > kMostVectorRows)
    return {lanes, std::min(4u, features.most_invocations / lanes), 16, 1, false};
  const uint32_t most = std::min(features.most_invocations, 512u) / lanes;
  const uint32_t slices = std::clamp(weight.blocks / 2, 1u, std::min(most, 16u));
  return {lanes, std::bit_floor(slices), std::bit_ceil(rows), 1, false};
}

const Shader& shader_of(bool vector, bool shuffles) {
  if (shuffles) return vector ? kGptqMatvecShuffles : kGptqMatmulShuffles;
  return vector ? kGptqMatvec : kGptqMatmul;
}

}  // namespace

void matmul(const Operands& op, const Epilogue& epilogue, Recorder& recorder) {
  const PackedShape& weight = op.weight(1, abi::WeightUse::matmul);
  const Features& features = recorder.features();
  const uint32_t rows = op.rows(), width = op.width();
  const Tiling tiling = features.processor ? software_tiling(features, width, rows)
                                           : gpu_tiling(features, weight, rows);
  const VkDeviceAddress codes = op.at(1);
  struct {
    VkDeviceAddress x, codes, scales, bias, other, y, step;
    uint32_t depth, width, group_size, blocks_per_group, blocks, over_wanted, has_bias, first_row;
  } push{op.at(0),
         codes,
         codes + weight.scales_at,
         op.at(2),
         epilogue.other.begin,
         epilogue.result.begin,
         op.around().step,
         weight.rows,
         width,
         weight.group_size,
         weight.blocks_per_group,
         weight.blocks,
         op.over_wanted(),
         op.has(2),
         0};
  const bool vector = rows <= kMostVectorRows;
  const uint32_t tile_rows = tiling.rows * (vector ? 1 : tiling.depth);
  const uint32_t tile_columns = tiling.lanes * tiling.columns;
  const Constants constants{tiling.lanes,
                            tiling.depth,
                            weight.bits,
                            tiling.rows,
                            tiling.columns,
                            weight.whole_blocks(),
                            weight.scale_dtype == abi::DType::f32,
                            static_cast<uint32_t>(epilogue.kind)};
  const double flop_of_row = 2.0 * weight.rows * width;
  const uint32_t piece = vector ? rows : rows_at_once(recorder.budget() / flop_of_row, tile_rows);
  const VkDeviceAddress y = epilogue.result.begin;
  for (uint32_t& first = push.first_row; first < rows; first += piece) {
    const uint32_t count = std::min(piece, rows - first);
    const Dispatch dispatch{
        shader_of(vector, tiling.shuffles),
        constants,
        {(width + tile_columns - 1) / tile_columns, (count + tile_rows - 1) / tile_rows, 1},
        flop_of_row * count};
    const uint64_t row_bytes = uint64_t{width} * sizeof(float);
    recorder.dispatch(dispatch, push, {op.range(0), epilogue.other},
                      {{y + first * row_bytes, y + (first + count) * row_bytes}});
  }
}

}  // namespace ropewalk::vulkan
