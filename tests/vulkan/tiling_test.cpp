// How a matrix product is tiled on devices that no machine has together: within their limits, with
// float16, 16-bit storage and integer dot products where they have what the shader needs, and
// within the workspace that it asks for.
#include "backends/vulkan/ops/tiling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace ropewalk::vulkan {
namespace {

constexpr uint32_t kRows[] = {1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 256, 512};

struct Product {
  abi::DType dtype;
  uint32_t bits, rows, group_size;
};
constexpr Product kTiledProducts[] = {
    {abi::DType::gptq, 4, 5120, 32},  {abi::DType::gptq, 3, 96, 96},
    {abi::DType::gptq, 8, 200, 40},   {abi::DType::f16, 16, 5120, 5120},
    {abi::DType::bf16, 17, 32, 32},   {abi::DType::f32, 32, 150, 150},
    {abi::DType::gptq, 2, 13824, 128}};

PackedShape shape_of(const Product& product) {
  PackedShape shape{};
  shape.dtype = product.dtype;
  shape.rows = product.rows;
  shape.cols = 1000;
  shape.bits = product.bits;
  shape.group_size = product.group_size;
  shape.blocks_per_group = (product.group_size + kBlock - 1) / kBlock;
  shape.blocks = shape.blocks_per_group * (product.rows / product.group_size);
  return shape;
}

bool may_use_dot(const Features& features, const Product& product) {
  const bool gpu = !features.processor || features.float16;
  return features.integer_dot && gpu && product.dtype == abi::DType::gptq && product.bits == 4;
}

// Matrix cores take more than 8 rows of what f16 holds exactly.
bool takes_matrices(const Features& features, const Product& product, uint32_t rows) {
  return features.matrices != Matrices::none && product.bits <= 16 && rows > 8;
}

// Bytes as gptq_tile.comp, gptq_matvec.comp and gptq_lean.comp declare them.
uint64_t declared_shared_bytes(const Tiling& t) {
  if (is_matrix(t)) {
    // two buffers of x and W, or at the end the sums of 16 rows of each subgroup
    const uint64_t buffers = 2 * (t.tile_rows() + t.tile_columns()) * 80;
    const uint64_t sums = t.tiles * t.across * 16 * (t.columns * 4 + 16);
    return t.slices * (std::max(buffers, sums) + 2 * 4 * t.tile_columns());
  }
  const uint64_t parts = t.slices > 1 ? t.tile_rows() * t.tile_columns() : 1;
  if (is_split(t)) {
    // a sum an invocation and slice; where x is staged by fours, in the place of its planes
    const uint64_t sums = std::min(t.slices / t.columns, t.rows) * t.columns;
    if (t.shader == &kGptqLeanSplit) return 4 * (t.slices > 1 ? t.slices * sums * t.lanes : 1) + 16;
    return 16 *
           (t.slices * std::max<uint64_t>((sums + 3) / 4 * t.lanes, t.rows * t.blocks_ahead * 5) +
            1);
  }
  if (!t.splits_rows) return 4 * (t.slices > 1 ? t.slices * parts : 1);
  if (t.shader == &kGptqDotTile)
    return t.slices * (t.tile_columns() * (32 + 8) + t.tile_rows() * 80) + 4 * parts;
  if (t.shader != &kGptqTile && t.shader != &kGptqTileF16) return 0;
  const bool w_f16 = t.shader == &kGptqTileF16;
  const uint64_t pairs = t.slices * 16;
  const uint64_t x = t.x == PreparedX::f16 ? pairs * (t.tile_rows() + 4) * 4 + 8
                                           : pairs * (t.tile_rows() + 2) * 8 + 4;
  return pairs * t.tile_columns() * (w_f16 ? 4 : 8) + 4 * t.slices * t.tile_columns() + x +
         4 * parts;
}

// What lean.glsl declares with PLANED: planes; with NORMED too: sums of squares.
uint64_t norm_bytes(const Tiling& t, const Product& product) {
  if (is_planed(t)) return t.rows * shape_of(product).blocks * 80;
  if (!is_normed(t)) return 0;
  return t.rows * (shape_of(product).blocks * 80 + 4 * t.slices * (t.lanes / t.subgroup));
}

template <class Check>
void on_every_device(const Check& check) {
  for (const uint32_t subgroup : {4u, 8u, 16u, 32u, 64u, 128u})
    for (const uint32_t invocations : {128u, 256u, 1024u})
      for (const uint32_t shared : {16384u, 32768u, 65536u})
        for (const uint32_t bits :
             {0u, 1u, 2u, 3u, 4u, 7u, 8u, 11u, 12u, 17u, 27u, 43u, 72u, 75u, 91u}) {
          Features features{};
          features.subgroup_size = features.matrix_lanes = subgroup;
          features.max_invocations = invocations;
          features.shared_bytes = shared;
          features.subgroup_shuffle = features.subgroup_arithmetic = true;
          features.float16 = bits & 1;
          features.storage_16bit = bits & 2;
          features.processor = bits & 4;
          features.integer_dot = features.dot_tiles = bits & 8;
          features.memory_model = bits & 64;
          features.vector_units = invocations;
          features.matrices = bits & 16   ? Matrices::cooperative
                              : bits & 32 ? Matrices::emulated
                                          : Matrices::none;
          check(features);
        }
}

TEST(VulkanTiling, StaysWithinEveryDevicesLimits) {
  on_every_device([](const Features& features) {
    for (const Product& product : kTiledProducts)
      for (const uint32_t rows : kRows) {
        const Tiling t = tiling_of(features, shape_of(product), 1000, rows);
        const uint32_t invocations = t.lanes * t.tiles * t.slices * std::max(t.across, 1u);
        EXPECT_GE(invocations, 1u);
        EXPECT_LE(invocations, features.max_invocations);
        EXPECT_LE(declared_shared_bytes(t), features.shared_bytes)
            << rows << " rows of " << product.bits;
        EXPECT_TRUE(t.splits_rows || t.tile_rows() >= rows);
        const Tiling planed = planed_tiling(features, shape_of(product), 1000, rows);
        EXPECT_LE(declared_shared_bytes(planed) + norm_bytes(planed, product),
                  features.shared_bytes + 4);
        if (is_planed(planed)) {
          EXPECT_TRUE(may_use_dot(features, product) && rows <= 2);
        }
        for (const Norm norm : {Norm::outside, Norm::inside}) {
          const Tiling gated = gated_tiling(features, shape_of(product), 1000, rows, norm);
          EXPECT_EQ(is_gated(gated), is_lean(t));
          if (!is_gated(gated)) continue;
          const uint64_t results = 4 * gated.rows * (gated.lanes + gated.lanes / kBlock);
          // of two weights, four rows at a time
          const uint64_t sums =
              2 * declared_shared_bytes(gated) * std::min(gated.rows, 4u) / gated.rows;
          EXPECT_LE(sums + results + norm_bytes(gated, product), features.shared_bytes + 4) << rows;
          EXPECT_LE(gated.lanes * gated.slices, features.max_invocations);
          EXPECT_GE(gated.blocks_ahead, 1u);
        }
      }
  });
}

// Products of Llama-2-13B and TinyLlama-1.1B on cards whose vector units are known.
TEST(VulkanTiling, SumsAreSharedUntilEachVectorUnitHasEightSubgroups) {
  struct Card {
    uint32_t subgroup, units;
  };
  constexpr Card k7900Xtx{64, 192}, k4090{32, 512}, kA770{32, 512}, k780M{64, 24};
  struct Widths {
    uint32_t depth, width;
  };
  for (const Card card : {k7900Xtx, k4090, kA770, k780M})
    for (const Widths w : {Widths{5120, 5120},
                           {13824, 5120},
                           {5120, 13824},
                           {2048, 2048},
                           {5632, 2048},
                           {2048, 5632},
                           {32, 64}})
      for (const uint32_t rows : {1u, 8u, 16u, 32u}) {
        Features features{};
        features.subgroup_size = card.subgroup;
        features.vector_units = card.units;
        features.max_invocations = 1024;
        features.shared_bytes = 65536;
        features.integer_dot = features.dot_tiles = features.memory_model = true;
        const PackedShape shape = shape_of({abi::DType::gptq, 4, w.depth, 32});
        const Tiling t = tiling_of(features, shape, w.width, rows);
        const uint32_t groups = (w.width + t.tile_columns() - 1) / t.tile_columns();
        const uint32_t runs = (shape.blocks + t.blocks_ahead - 1) / t.blocks_ahead;
        const uint32_t all = t.splits * t.slices, share = (runs + all - 1) / all;
        const uint32_t busy = (runs + share - 1) / share;  // slices with a block
        const bool enough = groups * busy >= 8 * card.units * 9 / 10;
        const uint32_t most = 16 * t.slices, least_share = (runs + most - 1) / most;
        EXPECT_TRUE(enough || share == least_share)
            << w.depth << " x " << w.width << ", " << rows << " rows, " << card.units
            << " units: " << groups * busy << " subgroups";
        EXPECT_TRUE(t.splits == 1 || groups * t.slices < 8 * card.units);
        EXPECT_LT((t.splits - 1) * t.slices, busy);  // no workgroup without a block
        EXPECT_EQ(split_size_of(t, w.width).counters, t.splits > 1 ? groups : 0);
        EXPECT_EQ(split_size_of(t, w.width).bytes,
                  t.splits > 1 ? 4ull * groups * t.splits * t.rows * t.tile_columns() : 0);
      }
}

// A workgroup's columns are whole heads, and each slice of the sum whole subgroups.
TEST(VulkanTiling, HeadsStayWithinEveryDevicesLimits) {
  on_every_device([](const Features& features) {
    for (const Product& product : kTiledProducts)
      for (const uint32_t rows : kRows)
        for (const uint32_t head_dim : {4u, 20u, 64u, 80u, 128u, 256u}) {
          const auto [t, heads] =
              qkv_tiling(features, shape_of(product), head_dim, rows, Norm::inside);
          if (heads == 0) continue;
          EXPECT_TRUE(may_use_dot(features, product) && rows <= (is_normed(t) ? 2 : 8));
          EXPECT_LE(heads * head_dim, t.lanes);
          EXPECT_EQ(t.lanes % features.subgroup_size, 0u);
          EXPECT_LE(t.lanes * t.slices, features.max_invocations);
          EXPECT_LE(
              declared_shared_bytes(t) + 4 * t.rows * heads * head_dim + norm_bytes(t, product),
              features.shared_bytes + 4);
        }
  });
}

TEST(VulkanTiling, ShadersRunWhereTheDeviceHasWhatTheyNeed) {
  on_every_device([](const Features& features) {
    for (const Product& product : kTiledProducts)
      for (const uint32_t rows : kRows) {
        const Tiling t = tiling_of(features, shape_of(product), 1000, rows);
        const bool exact = product.bits <= 16;  // bf16 and f32 exceed the range of f16
        const bool matrix = takes_matrices(features, product, rows);
        EXPECT_EQ(is_matrix(t), matrix);
        EXPECT_EQ(t.shader == &kGptqMatrixCooperative,
                  matrix && features.matrices == Matrices::cooperative);
        EXPECT_LE(matrix, t.x == PreparedX::f16);
        if (matrix) continue;
        const bool dot = may_use_dot(features, product);
        const bool staged = t.shader == &kGptqLeanStaged;
        EXPECT_EQ(is_lean(t), dot && rows <= 8);
        EXPECT_EQ(t.shader == &kGptqDotTile, dot && rows > 8 && !staged);
        EXPECT_LE(is_split(t), features.memory_model);
        EXPECT_LE(staged, rows <= 32 && t.slices >= 2);
        const bool has_room = features.subgroup_size <= 64 && features.shared_bytes >= 32768;
        if (has_room) {
          EXPECT_EQ(staged, dot && features.memory_model && rows > 8 && rows <= 32);
        }
        EXPECT_EQ(t.x == PreparedX::i8, dot);
        if (dot) continue;
        EXPECT_EQ(t.shader == &kGptqMatvecF16, features.float16 && exact && rows <= 2);
        EXPECT_EQ(t.shader == &kGptqTileF16,
                  features.float16 && features.storage_16bit && exact && rows > 2);
        EXPECT_LE(t.x == PreparedX::f16, t.shader == &kGptqTileF16);
      }
  });
}

// On a GPU the tiling is one, whatever the rows; on a processor two shaders add up in one order.
TEST(VulkanTiling, BatchInvariantLooksAtNoRows) {
  on_every_device([](const Features& device) {
    Features features = device;
    features.batch_invariant = true;
    const bool processor = features.processor && !features.float16;
    for (const Product& product : kTiledProducts) {
      const PackedShape shape = shape_of(product);
      const Tiling few = tiling_of(features, shape, 1000, 1);
      EXPECT_TRUE(few.splits_rows || processor);
      for (const uint32_t rows : kRows) {
        const Tiling t = tiling_of(features, shape, 1000, rows);
        EXPECT_EQ(t.slices, few.slices);
        EXPECT_EQ(t.columns, few.columns);
        EXPECT_EQ(t.x, few.x);
        if (processor) continue;
        EXPECT_EQ(t.shader, few.shader);
        EXPECT_EQ(constants_of(t, shape, 0), constants_of(few, shape, 0));
        EXPECT_FALSE(is_gated(gated_tiling(features, shape, 1000, rows, Norm::inside)));
        EXPECT_FALSE(is_planed(planed_tiling(features, shape, 1000, rows)));
        EXPECT_EQ(qkv_tiling(features, shape, 128, rows, Norm::inside).heads_across, 0u);
      }
    }
  });
}

TEST(VulkanTiling, TheWorkspaceHoldsXAsItIsPrepared) {
  on_every_device([](const Features& device) {
    for (const bool batch_invariant : {false, true}) {
      Features features = device;
      features.batch_invariant = batch_invariant;
      for (const Product& product : kTiledProducts)
        for (const uint32_t rows : kRows) {
          const PackedShape shape = shape_of(product);
          abi::Tensor weight{};
          weight.dtype = product.dtype;
          weight.bits = static_cast<uint8_t>(product.bits);
          weight.dim[0] = product.rows;
          weight.group_size = product.group_size;
          const Tiling tiling = tiling_of(features, shape, 1000, rows);
          weight.dim[1] = 1000;
          EXPECT_EQ(split_size(weight, rows, features).bytes, split_size_of(tiling, 1000).bytes);
          const uint64_t asked = prepared_workspace(weight, rows, features);
          const PreparedX kind = tiling.x;
          const uint64_t row = kind == PreparedX::f16  ? shape.blocks * 64 + 4
                               : kind == PreparedX::i8 ? shape.blocks * 80
                                                       : 0;
          EXPECT_EQ(asked, rows * row);
        }
    }
  });
}

// A product is compared with the rate of the arithmetic that it is made of.
TEST(VulkanTiling, TheCeilingMultipliesAsAProductOfAPromptDoes) {
  on_every_device([](const Features& features) {
    const PackedShape shape = shape_of({abi::DType::gptq, 4, 5120, 32});
    const Shader* of_product = tiling_of(features, shape, 1000, 512).shader;
    const Shader* of_ceiling = &rate_kernel_of(features).shader;
    const std::pair<const Shader*, const Shader*> pairs[] = {
        {&kGptqMatrixCooperative, &kProductsMatrixCooperative},
        {&kGptqMatrix, &kProductsMatrix},
        {&kGptqDotTile, &kProductsDot},
        {&kGptqTileF16, &kProductsF16},
        {&kGptqTile, &kProducts},
        {&kGptqMatmul, &kProducts},
        {&kGptqMatmulShuffles, &kProducts}};
    const auto* found = std::ranges::find(pairs, of_product, [](const auto& p) { return p.first; });
    ASSERT_NE(found, std::end(pairs)) << of_product->name;
    EXPECT_EQ(of_ceiling, found->second) << of_product->name << ", " << of_ceiling->name;
  });
}

// The operations of one product in x . W, whatever a kernel makes of it: two for a multiply-add,
// and for bytes half of them, since x has two planes.
TEST(VulkanTiling, TheCeilingCountsWhatAProductCounts) {
  Features features{};
  features.max_invocations = 1024;
  features.shared_bytes = 65536;
  features.subgroup_size = features.matrix_lanes = 32;
  const double f32 = rate_kernel_of(features).flop;
  EXPECT_EQ(f32, 2.0 * 64 * 256);  // 64 lanes, 256 steps a round
  features.int64 = features.size_control = features.integer_dot = features.dot_tiles = true;
  EXPECT_EQ(rate_kernel_of(features).flop, 2 * f32);
  features.float16 = features.storage_16bit = true;
  features.matrices = Matrices::cooperative;
  EXPECT_EQ(rate_kernel_of(features).flop, 2.0 * 16 * 16 * 16 * 8 * 4);  // 8 chains, 4 subgroups
}

}  // namespace
}  // namespace ropewalk::vulkan
