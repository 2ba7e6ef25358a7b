#include "backends/vulkan/ops/tiling.h"

#include <algorithm>
#include <bit>

#include "core/abi/workspace.h"

namespace ropewalk::vulkan {
namespace {

// A processor's vectors: few lanes, and each lane of a load costs as much as several vectors of
// arithmetic. So x is loaded once for a vector and broadcast by shuffles, and an invocation has as
// many columns as leave every core some workgroups; more than 8 take the driver seconds to compile.
// Both shaders add up a row in the order of the blocks, whatever the number of rows.
Tiling processor_tiling(const Features& features, uint32_t width, uint32_t rows) {
  constexpr uint32_t kMaxVectorRows = 8;  // with more, columns are no longer read once
  constexpr uint32_t kMinGroups = 8, kMaxColumns = 8;
  const uint32_t lanes = features.subgroup_size;
  const bool shuffles = features.subgroup_shuffle && lanes >= 8 && lanes <= kBlock;
  const uint32_t columns = std::clamp(width / (lanes * kMinGroups), 1u, kMaxColumns);
  const bool vector = rows <= kMaxVectorRows;
  Tiling tiling{};
  if (vector)
    tiling.shader = shuffles ? &kGptqMatvecShuffles : &kGptqMatvec;
  else
    tiling.shader = shuffles ? &kGptqMatmulShuffles : &kGptqMatmul;
  tiling.lanes = lanes;
  tiling.tiles = tiling.slices = 1;
  tiling.rows = std::min(std::bit_ceil(rows), kMaxVectorRows);
  tiling.columns = std::bit_floor(columns);
  tiling.blocks_ahead = 1;
  tiling.splits_rows = !vector;
  return tiling;
}

constexpr uint64_t kPlaneBytes = 2 * kBlock + 16;  // of a block of x as planes.glsl has it

// f16 holds codes and f16 weights exactly; bf16 and f32 weights exceed its range.
bool unpacks_to_f16(const Features& features, abi::DType weight) {
  return features.float16 && (weight == abi::DType::gptq || weight == abi::DType::f16);
}

// Few enough instructions that up to eight rows wait for W alone. Up to 32 keep their sums in
// registers too, with x in shared memory.
constexpr uint32_t kMaxLeanRows = 8, kMaxStagedRows = 32;

// On matrix cores few rows would leave most of each tile empty.
bool uses_matrices(const Features& features, abi::DType weight, uint32_t rows) {
  return features.matrices != Matrices::none && unpacks_to_f16(features, weight) &&
         rows > kMaxLeanRows;
}

// Codes of 4 bits times x as two planes of int8: an instruction multiplies four.
bool uses_dot(const Features& features, abi::DType weight, uint32_t bits, uint32_t rows) {
  const bool lean = rows <= kMaxLeanRows && !features.batch_invariant;
  return features.integer_dot && weight == abi::DType::gptq && bits == 4 &&
         !uses_matrices(features, weight, rows) && (lean || features.dot_tiles);
}

// What a workgroup of lean.glsl shares beyond the sums of its slices.
struct LeanShape {
  const Shader* shader;
  const Shader* planed;  // the same with PLANED; the norm too, where a norm makes x
  uint32_t products;     // of a lane
  uint32_t lanes;        // of a slice: whole subgroups
  uint32_t results;      // floats of a row that the workgroup shares
};

LeanShape lean_shape(const Features& features) {
  return {&kGptqLean, &kGptqLeanPlaned, 1, features.subgroup_size, 0};
}

// The columns of a workgroup are whole blocks of planes.
LeanShape gated_shape(const Features& features) {
  const uint32_t lanes = std::max(features.subgroup_size, kBlock);
  return {&kGptqLeanGated, &kGptqLeanGatedNormed, 2, lanes, lanes + lanes / kBlock};
}

// The columns of a workgroup are whole heads.
LeanShape qkv_shape(const Features& features, uint32_t head_dim) {
  const auto lanes = static_cast<uint32_t>(abi::align_up(head_dim, features.subgroup_size));
  return {&kGptqQkv, &kGptqQkvNormed, 1, lanes, lanes};
}

// kRowsShared of lean.glsl.
uint32_t rows_shared(uint32_t rows, uint32_t products) {
  return products > 1 ? std::min(rows, 4u) : rows;
}

Tiling lean_tiling(const Features& features, const PackedShape& weight, uint32_t rows,
                   const LeanShape& shape) {
  // 10 KB of a subgroup of 64 under way. A processor that plays a GPU would compile for a minute.
  const bool software = features.info.type == abi::DeviceType::software;
  const uint32_t ahead = (rows > 2 && software ? 4 : 8) / shape.products;
  constexpr uint32_t kMaxSlices = 8;
  const uint32_t wide_rows = std::bit_ceil(rows);
  const uint32_t results = 4 * wide_rows * shape.results;
  const uint32_t fit = (features.shared_bytes - results) /
                       (4 * rows_shared(wide_rows, shape.products) * shape.lanes * shape.products);
  const uint32_t slices =
      std::min({kMaxSlices, features.max_invocations / shape.lanes, fit, weight.blocks / ahead});
  Tiling tiling{};
  tiling.shader = shape.shader;
  tiling.lanes = shape.lanes;
  tiling.tiles = 1;
  tiling.slices = std::bit_floor(std::max(slices, 1u));
  tiling.rows = wide_rows;
  tiling.columns = 1;
  tiling.blocks_ahead = ahead;
  tiling.x = PreparedX::i8;
  tiling.subgroup = features.subgroup_size;
  tiling.splits_rows = false;
  return tiling;
}

// Columns that are too few workgroups for the device share their sums among several: as many
// slices as give each of its vector units kWaves subgroups, and none without a block.
Tiling with_splits(const Features& features, const PackedShape& weight, uint32_t width,
                   const Tiling& tiling) {
  constexpr uint32_t kWaves = 8, kMaxSplits = 16;
  const uint32_t groups = (width + tiling.tile_columns() - 1) / tiling.tile_columns();
  const uint32_t runs = (weight.blocks + tiling.blocks_ahead - 1) / tiling.blocks_ahead;
  const uint32_t wanted = (kWaves * features.vector_units + groups - 1) / groups;
  const uint32_t share = std::max(runs / wanted, 1u);  // runs of a slice
  const uint32_t slices = (runs + share - 1) / share;
  Tiling split = tiling;
  if (wanted <= tiling.slices) return split;
  split.splits = std::min((slices + tiling.slices - 1) / tiling.slices, kMaxSplits);
  // without those that the shader's equal shares would leave nothing to
  const uint32_t all = split.splits * tiling.slices, in_slice = (runs + all - 1) / all;
  split.splits = ((runs + in_slice - 1) / in_slice + tiling.slices - 1) / tiling.slices;
  return split;
}

// As lean.glsl declares it for gptq_lean_split.comp, and last.glsl.
uint64_t split_shared_bytes(const Tiling& t) {
  const uint32_t items = std::min(t.slices / t.columns, t.rows) * t.columns;
  if (t.columns == 1) return 4 * t.slices * items * t.lanes + 16;
  const uint32_t sums = (items + 3) / 4 * t.lanes * 16;
  return t.slices * std::max<uint64_t>(sums, t.rows * t.blocks_ahead * kPlaneBytes) + 16;
}

Tiling split_tiling(const Features& features, const PackedShape& weight, uint32_t width,
                    const Tiling& lean) {
  if (!features.memory_model || split_shared_bytes(lean) > features.shared_bytes) return lean;
  Tiling split = with_splits(features, weight, width, lean);
  if (split.splits > 1) split.shader = &kGptqLeanSplit;
  return split;
}

// With x in shared memory; its shader counts workgroups even where it has one for a column.
// Without slices: the device has no room.
Tiling staged_tiling(const Features& features, const PackedShape& weight, uint32_t width,
                     uint32_t rows) {
  constexpr uint32_t kMaxSlices = 8;
  Tiling tiling{};
  tiling.shader = &kGptqLeanStaged;
  tiling.lanes = tiling.subgroup = features.subgroup_size;
  tiling.tiles = 1;
  tiling.rows = rows <= 16 ? 16 : 32;
  tiling.columns = 2;
  tiling.blocks_ahead = 32 / tiling.rows;  // more would cost subgroups for their registers
  tiling.slices = std::min(kMaxSlices, std::bit_floor(features.max_invocations / tiling.lanes));
  tiling.x = PreparedX::i8;
  tiling.splits_rows = false;
  while (tiling.slices > tiling.columns && tiling.slices * tiling.blocks_ahead > weight.blocks)
    tiling.slices /= 2;
  while (split_shared_bytes(tiling) > features.shared_bytes) tiling.slices /= 2;
  if (tiling.slices < tiling.columns) return {};  // an invocation adds up one sum at a time
  return with_splits(features, weight, width, tiling);
}

// Each workgroup would make the planes of all rows. With more rows that costs more than the barrier
// before it, and shared memory that other workgroups need.
Tiling with_planes(const Features& features, const PackedShape& weight, const Tiling& tiling,
                   const LeanShape& shape) {
  constexpr uint32_t kMaxRows = 2;
  const uint64_t sums = uint64_t{4} * tiling.slices * shape.products * shape.lanes;
  const uint64_t planes = weight.blocks * kPlaneBytes;
  const uint64_t squares = uint64_t{4} * tiling.slices * (shape.lanes / tiling.subgroup);
  const uint64_t shared = tiling.rows * (sums + 4 * shape.results + planes + squares);
  const bool can = features.subgroup_shuffle && features.subgroup_arithmetic &&
                   tiling.rows <= kMaxRows && weight.whole_blocks() &&
                   shared <= features.shared_bytes;
  Tiling planed = tiling;
  if (can) planed.shader = shape.planed;
  return planed;
}

// Few rows are read by few workgroups: one more dispatch costs more than f16 saves there.
bool uses_x_f16(const Features& features, abi::DType weight, uint32_t rows) {
  constexpr uint32_t kMinRows = 33;
  if (uses_matrices(features, weight, rows)) return true;
  return rows >= kMinRows && unpacks_to_f16(features, weight) && features.storage_16bit;
}

// One row or two stream W through registers: many slices, so that enough loads are under way.
Tiling vector_tiling(const Features& features, const PackedShape& weight, uint32_t rows) {
  const uint32_t lanes = std::clamp(features.subgroup_size, 32u, 64u);
  const uint32_t max_slices = std::min(features.max_invocations, 512u) / lanes;
  const uint32_t slices = std::clamp(weight.blocks / 2, 1u, std::min(max_slices, 16u));
  Tiling tiling{};
  tiling.shader = unpacks_to_f16(features, weight.dtype) ? &kGptqMatvecF16 : &kGptqMatvec;
  tiling.lanes = lanes;
  tiling.tiles = 1;
  tiling.slices = std::bit_floor(slices);
  tiling.rows = std::bit_ceil(rows);
  tiling.columns = 1;
  tiling.blocks_ahead = 2;
  tiling.splits_rows = false;
  return tiling;
}

// Workgroups of 128 invocations, which every device has. Few rows need slices of the sum, so that
// enough loads are under way, and narrow tiles, so that there are enough workgroups.
struct TileShape {
  uint32_t max_rows, tiles, rows, columns, slices;
};
constexpr TileShape kTileShapes[] = {
    {4, 1, 4, 2, 8}, {8, 1, 8, 2, 8}, {16, 2, 8, 2, 4}, {32, 4, 8, 4, 2}, {~0u, 8, 8, 4, 1}};

uint64_t shared_bytes(const Tiling& t, bool w_f16) {
  if (t.x == PreparedX::i8)
    return t.slices * (uint64_t{t.tile_columns()} * (kBlock + 8) + t.tile_rows() * kPlaneBytes) +
           (t.slices > 1 ? 4 * t.tile_rows() * t.tile_columns() : 4);
  const uint64_t pairs = uint64_t{t.slices} * kBlock / 2;
  return pairs * (t.tile_columns() * (w_f16 ? 4 : 8) +
                  (t.tile_rows() + 4) * (t.x == PreparedX::f16 ? 4 : 8)) +
         4 * t.slices * t.tile_columns() +
         (t.slices > 1 ? 4 * t.tile_rows() * t.tile_columns() : 4) + 16;
}

Tiling tile_tiling(const Features& features, const PackedShape& weight, uint32_t rows) {
  const auto* shape = std::begin(kTileShapes);
  while (rows > shape->max_rows) ++shape;
  const bool w_f16 = unpacks_to_f16(features, weight.dtype) && features.storage_16bit;
  const bool dot = uses_dot(features, weight.dtype, weight.bits, rows);
  Tiling tiling{};
  tiling.shader = dot ? &kGptqDotTile : w_f16 ? &kGptqTileF16 : &kGptqTile;
  tiling.lanes = 16;
  tiling.tiles = shape->tiles;
  tiling.slices = std::min(shape->slices, std::bit_floor(std::max(weight.blocks, 1u)));
  tiling.rows = shape->rows;
  tiling.columns = shape->columns;
  if (dot)
    tiling.x = PreparedX::i8;
  else if (uses_x_f16(features, weight.dtype, rows))
    tiling.x = PreparedX::f16;
  while (shared_bytes(tiling, w_f16) > features.shared_bytes) {
    uint32_t& halved = tiling.slices > 1 ? tiling.slices : tiling.tiles;
    if (halved == 1) break;  // 4 KiB; every device has 16
    halved /= 2;
  }
  return tiling;
}

// Workgroups of 4 subgroups of 64 or 8 of 32. A subgroup keeps its sums, and a block of x, in up to
// 240 registers. Few rows need slices of the sum, as above.
struct MatrixShape {
  uint32_t max_rows, down, across, rows, columns, slices;  // rows, columns: tiles of a subgroup
};
constexpr MatrixShape kMatrixShapes[] = {
    {16, 1, 1, 1, 2, 4}, {32, 1, 1, 2, 2, 4}, {64, 1, 4, 4, 2, 1}, {~0u, 2, 2, 4, 4, 1}};
constexpr uint32_t kMatrixEdge = 16;

// Two buffers of x and W, a gap behind each row and column, and W's scales.
uint64_t matrix_shared_bytes(const Tiling& t) {
  constexpr uint64_t kLineBytes = kBlock * 2 + 16;
  return uint64_t{2} * t.slices *
         ((t.tile_rows() + t.tile_columns()) * kLineBytes + t.tile_columns() * sizeof(float));
}

Tiling matrix_tiling(const Features& features, const PackedShape& weight, uint32_t rows) {
  const auto* shape = std::begin(kMatrixShapes);
  while (rows > shape->max_rows) ++shape;
  // A processor takes seconds to compile more than two tiles.
  const bool cooperative = features.matrices == Matrices::cooperative;
  const uint32_t most_rows = cooperative ? 4 : 2,
                 most_columns = cooperative ? 4 : 3 - std::min(shape->rows, 2u);
  Tiling tiling{};
  tiling.shader = cooperative ? &kGptqMatrixCooperative : &kGptqMatrix;
  tiling.lanes = features.matrix_lanes;
  tiling.tiles = shape->down;
  tiling.across = shape->across;
  tiling.rows = std::min(shape->rows, most_rows) * kMatrixEdge;
  tiling.columns = std::min(shape->columns, most_columns) * kMatrixEdge;
  tiling.slices = std::min(shape->slices, std::bit_floor(std::max(weight.blocks, 1u)));
  tiling.x = PreparedX::f16;
  // Subgroups of 32 keep half as many columns each.
  if (tiling.lanes <= 32 && tiling.columns > 2 * kMatrixEdge)
    tiling.across *= 2, tiling.columns /= 2;
  while (tiling.invocations() > features.max_invocations ||
         matrix_shared_bytes(tiling) > features.shared_bytes) {
    uint32_t& halved = tiling.slices > 1           ? tiling.slices
                       : tiling.across > 1         ? tiling.across
                       : tiling.tiles > 1          ? tiling.tiles
                       : tiling.rows > kMatrixEdge ? tiling.rows
                                                   : tiling.columns;
    if (halved == kMatrixEdge) break;  // 5 KiB; every device has 16
    halved /= 2;
  }
  return tiling;
}

}  // namespace

Tiling tiling_of(const Features& features, const PackedShape& weight, uint32_t width,
                 uint32_t rows) {
  constexpr uint32_t kMaxVectorRows = 2;  // with more, loading x for each column costs more than W
  if (features.processor && !features.float16) return processor_tiling(features, width, rows);
  if (features.batch_invariant) return tile_tiling(features, weight, kInvariantRows);
  if (uses_matrices(features, weight.dtype, rows)) return matrix_tiling(features, weight, rows);
  if (uses_dot(features, weight.dtype, weight.bits, rows)) {
    if (rows <= kMaxLeanRows)
      return split_tiling(features, weight, width,
                          lean_tiling(features, weight, rows, lean_shape(features)));
    if (rows <= kMaxStagedRows && features.memory_model) {
      const Tiling staged = staged_tiling(features, weight, width, rows);
      if (staged.slices) return staged;
    }
  }
  return rows <= kMaxVectorRows ? vector_tiling(features, weight, rows)
                                : tile_tiling(features, weight, rows);
}

Tiling planed_tiling(const Features& features, const PackedShape& weight, uint32_t width,
                     uint32_t rows) {
  const Tiling plain = tiling_of(features, weight, width, rows);
  if (!is_lean(plain)) return plain;
  // Without shared sums: the dispatch that it saves is worth more.
  const LeanShape shape = lean_shape(features);
  const Tiling planed =
      with_planes(features, weight, lean_tiling(features, weight, rows, shape), shape);
  return is_planed(planed) ? planed : plain;
}

Tiling gated_tiling(const Features& features, const PackedShape& weight, uint32_t width,
                    uint32_t rows, Norm norm) {
  const Tiling plain = tiling_of(features, weight, width, rows);
  if (!is_lean(plain)) return plain;
  const LeanShape shape = gated_shape(features);
  const Tiling gated = lean_tiling(features, weight, rows, shape);
  return norm == Norm::inside ? with_planes(features, weight, gated, shape) : gated;
}

QkvTiling qkv_tiling(const Features& features, const PackedShape& weight, uint32_t head_dim,
                     uint32_t rows, Norm norm) {
  const Tiling plain = tiling_of(features, weight, head_dim, rows);
  const LeanShape shape = qkv_shape(features, head_dim);
  if (!is_lean(plain) || shape.lanes > features.max_invocations) return {plain, 0};
  const Tiling qkv = lean_tiling(features, weight, rows, shape);
  return {norm == Norm::inside ? with_planes(features, weight, qkv, shape) : qkv,
          std::max(features.subgroup_size / head_dim, 1u)};
}

RateKernel rate_kernel_of(const Features& features) {
  constexpr uint32_t kPromptRows = 512, kBits = 4;
  constexpr uint32_t kGroup = 64;
  constexpr double kSteps = kGroup * 16.0 * 16;  // 16 chains, each of 16 steps a round
  if (features.processor && !features.float16) return {kProducts, {kGroup, 1}, 2.0 * kSteps};
  if (uses_matrices(features, abi::DType::gptq, kPromptRows)) {
    constexpr uint32_t kChains = 8;
    const uint32_t subgroups = std::clamp(features.max_invocations / features.matrix_lanes, 1u, 4u);
    const bool cooperative = features.matrices == Matrices::cooperative;
    return {cooperative ? kProductsMatrixCooperative : kProductsMatrix,
            {features.matrix_lanes, subgroups},
            2.0 * kMatrixEdge * kMatrixEdge * kMatrixEdge * kChains * subgroups};
  }
  // a step is four products, and x has two planes
  if (uses_dot(features, abi::DType::gptq, kBits, kPromptRows))
    return {kProductsDot, {kGroup, 1}, 2.0 * 4 / 2 * kSteps};
  const bool f16 = unpacks_to_f16(features, abi::DType::gptq) && features.storage_16bit;
  return {f16 ? kProductsF16 : kProducts, {kGroup, 1}, 2.0 * kSteps};
}

bool is_matrix(const Tiling& tiling) {
  return tiling.shader == &kGptqMatrix || tiling.shader == &kGptqMatrixCooperative;
}
bool is_lean(const Tiling& tiling) {
  return tiling.shader == &kGptqLean || tiling.shader == &kGptqLeanSplit;
}
bool is_split(const Tiling& tiling) {
  return tiling.shader == &kGptqLeanSplit || tiling.shader == &kGptqLeanStaged;
}
bool is_gated(const Tiling& tiling) {
  return tiling.shader == &kGptqLeanGated || tiling.shader == &kGptqLeanGatedNormed;
}
bool is_planed(const Tiling& tiling) { return tiling.shader == &kGptqLeanPlaned; }
bool is_normed(const Tiling& tiling) {
  return tiling.shader == &kGptqLeanGatedNormed || tiling.shader == &kGptqQkvNormed;
}

namespace {

// Blocks of a group where that is one of the usual sizes, so that the shader need not divide; 0
// leaves the number to the push constants.
uint32_t constant_group(const PackedShape& weight) {
  constexpr uint32_t kOneGroup = ~0u, kMaxConstant = 8;  // groups of 256 rows
  if (weight.blocks <= weight.blocks_per_group) return kOneGroup;
  return weight.blocks_per_group <= kMaxConstant ? weight.blocks_per_group : 0;
}

// kScales of groups.glsl.
uint32_t scales_kind(const PackedShape& weight) {
  if (weight.zeros == Zeros::packed) return 2 + weight.zero_offset;
  if (weight.zeros == Zeros::constant) return 4 + weight.zero;
  return weight.scale_dtype == abi::DType::f32 ? 1 : 0;
}

}  // namespace

Constants constants_of(const Tiling& tiling, const PackedShape& weight, uint32_t epilogue) {
  const bool is_tile = tiling.shader == &kGptqTile || tiling.shader == &kGptqTileF16;
  const bool is_vector = !tiling.splits_rows;
  const bool counts_subgroups = is_vector && tiling.x == PreparedX::i8;
  Constants constants{counts_subgroups ? tiling.lanes * tiling.slices : tiling.lanes,
                      is_vector ? tiling.slices : tiling.tiles,
                      weight.bits,
                      tiling.rows,
                      tiling.columns,
                      weight.whole_blocks(),
                      scales_kind(weight),
                      epilogue,
                      constant_group(weight)};
  if (is_matrix(tiling)) {
    constants[1] *= tiling.across;
    constants[3] /= kMatrixEdge;
    constants[4] /= kMatrixEdge;
    constants.insert(constants.end(), {tiling.slices, tiling.across});
  }
  if (is_vector) constants.push_back(tiling.blocks_ahead);
  if (counts_subgroups) constants.push_back(tiling.subgroup);
  if (is_split(tiling)) constants.push_back(tiling.splits);
  if (tiling.shader == &kGptqDotTile) constants.push_back(tiling.slices);
  if (is_tile) constants.insert(constants.end(), {tiling.slices, tiling.x == PreparedX::f16});
  return constants;
}

uint64_t prepared_bytes(PreparedX kind, uint64_t blocks, uint64_t rows) {
  constexpr uint64_t kBlockF16 = kBlock * 2;
  switch (kind) {
    case PreparedX::none:
      return 0;
    case PreparedX::f16:
      return rows * (blocks * kBlockF16 + sizeof(float));
    case PreparedX::i8:
      return rows * blocks * kPlaneBytes;
  }
  return 0;
}

SplitSize split_size_of(const Tiling& tiling, uint32_t width) {
  if (tiling.splits < 2) return {};
  const uint32_t columns = tiling.tile_columns(), groups = (width + columns - 1) / columns;
  return {groups, uint64_t{groups} * tiling.splits * tiling.rows * columns * sizeof(float)};
}

namespace {

uint32_t blocks_of(const abi::Tensor& weight) {
  const uint32_t depth = weight.dim[0];
  const uint32_t group = weight.dtype == abi::DType::gptq ? weight.group_size : depth;
  return (depth + group - 1) / group * ((group + kBlock - 1) / kBlock);
}

}  // namespace

uint64_t prepared_workspace(const abi::Tensor& weight, uint32_t rows, const Features& features) {
  const bool processor = features.processor && !features.float16;
  const uint32_t chosen_for = features.batch_invariant ? kInvariantRows : rows;
  const PreparedX kind = processor ? PreparedX::none
                         : uses_dot(features, weight.dtype, weight.bits, chosen_for) ? PreparedX::i8
                         : uses_x_f16(features, weight.dtype, chosen_for) ? PreparedX::f16
                                                                          : PreparedX::none;
  return prepared_bytes(kind, blocks_of(weight), rows);
}

SplitSize split_size(const abi::Tensor& weight, uint32_t rows, const Features& features) {
  PackedShape shape{};
  shape.dtype = weight.dtype;
  shape.bits = weight.bits;
  shape.blocks = blocks_of(weight);
  return split_size_of(tiling_of(features, shape, weight.dim[1], rows), weight.dim[1]);
}

}  // namespace ropewalk::vulkan
