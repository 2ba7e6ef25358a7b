#include "backends/vulkan/ops/tiling.h"

#include <algorithm>
#include <bit>

namespace ropewalk::vulkan {
namespace {

// A processor's vectors: few lanes, and each lane of a load costs as much as several vectors of
// arithmetic. So x is loaded once for a vector and spread, and an invocation has as many columns as
// leave every core some workgroups; more than 8 take the driver seconds to compile.
Tiling processor_tiling(const Features& features, uint32_t width, uint32_t rows) {
  constexpr uint32_t kMostVectorRows = 8;  // beyond, columns are no longer read once
  constexpr uint32_t kLeastGroups = 8, kMostColumns = 8;
  const uint32_t lanes = features.subgroup_size;
  const bool spreads = features.subgroup_shuffle && lanes >= 8 && lanes <= kBlock;
  const uint32_t columns = std::clamp(width / (lanes * kLeastGroups), 1u, kMostColumns);
  const bool vector = rows <= kMostVectorRows;
  Tiling tiling{};
  if (vector)
    tiling.shader = spreads ? &kGptqMatvecShuffles : &kGptqMatvec;
  else
    tiling.shader = spreads ? &kGptqMatmulShuffles : &kGptqMatmul;
  tiling.lanes = lanes;
  tiling.tiles = tiling.slices = 1;
  tiling.rows = std::min(std::bit_ceil(rows), kMostVectorRows);
  tiling.columns = std::bit_floor(columns);
  tiling.at_once = 1;
  tiling.cuts_rows = !vector;
  return tiling;
}

// Codes unpack to f16 exactly, and so does f16; bf16 and f32 reach beyond it.
bool unpacks_to_half(const Features& features, abi::DType weight) {
  return features.float16 && (weight == abi::DType::gptq || weight == abi::DType::f16);
}

// One row or two stream W through registers: many slices, so that enough loads are under way.
Tiling vector_tiling(const Features& features, const PackedShape& weight, uint32_t rows) {
  const uint32_t lanes = std::clamp(features.subgroup_size, 32u, 64u);
  const uint32_t most = std::min(features.most_invocations, 512u) / lanes;
  const uint32_t slices = std::clamp(weight.blocks / 2, 1u, std::min(most, 16u));
  Tiling tiling{};
  tiling.shader = unpacks_to_half(features, weight.dtype) ? &kGptqMatvecHalf : &kGptqMatvec;
  tiling.lanes = lanes;
  tiling.tiles = 1;
  tiling.slices = std::bit_floor(slices);
  tiling.rows = std::bit_ceil(rows);
  tiling.columns = 1;
  tiling.at_once = 2;
  tiling.cuts_rows = false;
  return tiling;
}

// Of 128 invocations, which every device has. The fewer rows there are the more it takes slices of
// the sum to have enough loads under way, and narrow tiles to have enough workgroups.
struct TileShape {
  uint32_t most_rows, tiles, rows, columns, slices;
};
constexpr TileShape kTileShapes[] = {
    {4, 1, 4, 2, 8}, {8, 1, 8, 2, 8}, {16, 2, 8, 2, 4}, {32, 4, 8, 4, 2}, {~0u, 8, 8, 4, 1}};

uint64_t shared_bytes(const Tiling& t, bool half_w) {
  const uint64_t pairs = uint64_t{t.slices} * kBlock / 2;
  return pairs * (t.tile_columns() * (half_w ? 4 : 8) + (t.tile_rows() + 4) * (t.half_x ? 4 : 8)) +
         4 * t.slices * t.tile_columns() +
         (t.slices > 1 ? 4 * t.tile_rows() * t.tile_columns() : 4) + 16;
}

Tiling tile_tiling(const Features& features, const PackedShape& weight, uint32_t rows) {
  const auto* shape = std::begin(kTileShapes);
  while (rows > shape->most_rows) ++shape;
  const bool half_w = unpacks_to_half(features, weight.dtype) && features.storage_16bit;
  Tiling tiling{};
  tiling.shader = half_w ? &kGptqTileHalf : &kGptqTile;
  tiling.lanes = 16;
  tiling.tiles = shape->tiles;
  tiling.slices = std::min(shape->slices, std::bit_floor(std::max(weight.blocks, 1u)));
  tiling.rows = shape->rows;
  tiling.columns = shape->columns;
  tiling.half_x = takes_half_rows(features, weight.dtype, rows);
  while (shared_bytes(tiling, half_w) > features.shared_bytes) {
    uint32_t& less = tiling.slices > 1 ? tiling.slices : tiling.tiles;
    if (less == 1) break;  // 4 KiB, of which every device has 16
    less /= 2;
  }
  return tiling;
}

}  // namespace

Tiling tiling_of(const Features& features, const PackedShape& weight, uint32_t width,
                 uint32_t rows) {
  constexpr uint32_t kMostVectorRows = 2;  // beyond, every column's load of x costs more than W
  if (features.processor && !features.float16) return processor_tiling(features, width, rows);
  return rows <= kMostVectorRows ? vector_tiling(features, weight, rows)
                                 : tile_tiling(features, weight, rows);
}

Constants constants_of(const Tiling& tiling, const PackedShape& weight, uint32_t epilogue) {
  const bool is_tile = tiling.shader == &kGptqTile || tiling.shader == &kGptqTileHalf;
  const bool is_vector = !tiling.cuts_rows;
  Constants constants{tiling.lanes,
                      is_vector ? tiling.slices : tiling.tiles,
                      weight.bits,
                      tiling.rows,
                      tiling.columns,
                      weight.whole_blocks(),
                      weight.scale_dtype == abi::DType::f32,
                      epilogue};
  if (is_vector) constants.push_back(tiling.at_once);
  if (is_tile) constants.insert(constants.end(), {tiling.slices, tiling.half_x});
  return constants;
}

// Few rows are read by few workgroups: what f16 saves there a dispatch more costs.
bool takes_half_rows(const Features& features, abi::DType weight, uint32_t rows) {
  constexpr uint32_t kLeastRows = 33;
  return rows >= kLeastRows && unpacks_to_half(features, weight) && features.storage_16bit;
}

uint64_t half_rows_bytes(uint64_t blocks, uint64_t rows) {
  return rows * blocks * kBlock * 2 + rows * sizeof(float);
}

uint64_t half_rows_workspace(const abi::Tensor& weight, uint32_t rows, const Features& features) {
  if (!takes_half_rows(features, weight.dtype, rows)) return 0;
  const uint64_t depth = weight.dim[0];
  const uint64_t group = weight.dtype == abi::DType::gptq ? weight.group_size : depth;
  const uint64_t groups = (depth + group - 1) / group;
  return half_rows_bytes(groups * ((group + kBlock - 1) / kBlock), rows);
}

}  // namespace ropewalk::vulkan
