// Which kernel computes a product and how it is divided, on the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backends/cuda/gptq/crossovers.h"
#include "backends/cuda/gptq/division.h"
#include "backends/cuda/gptq/large_batch/slice_columns.h"
#include "backends/cuda/ops/attention_splits.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;

constexpr Target kH200{132, 50 << 20, 90, 227 << 10, LargeBatchLibrary::cublas},
    kT4{40, 4 << 20, 75, 64 << 10, LargeBatchLibrary::cublas};

Target with(LargeBatchLibrary large_batch) {
  Target target = kH200;
  target.large_batch = large_batch;
  return target;
}

TEST(Crossovers, RowsOfPackedWeights) {
  for (const uint32_t rows : {1u, 8u, 9u, 64u})
    EXPECT_EQ(kernel_for(DType::gptq, rows, kH200), MatmulKernel::lean);
  for (const uint32_t rows : {65u, 128u})
    EXPECT_EQ(kernel_for(DType::gptq, rows, kH200), MatmulKernel::tiles_of_64);
  for (const uint32_t rows : {1u, 8u})
    EXPECT_EQ(kernel_without_lean(rows, kH200), MatmulKernel::tiles_of_8);
  for (const uint32_t rows : {9u, 16u})
    EXPECT_EQ(kernel_without_lean(rows, kH200), MatmulKernel::tiles_of_16);
  for (const uint32_t rows : {17u, 32u})
    EXPECT_EQ(kernel_without_lean(rows, kH200), MatmulKernel::tiles_of_32);
  for (const uint32_t rows : {33u, 128u})
    EXPECT_EQ(kernel_without_lean(rows, kH200), MatmulKernel::tiles_of_64);
  for (const uint32_t rows : {129u, 512u})
    EXPECT_EQ(kernel_for(DType::gptq, rows, kH200), MatmulKernel::cublas);
}

TEST(Crossovers, RowsOfDenseWeights) {
  for (const DType type : {DType::f16, DType::bf16}) {
    EXPECT_EQ(kernel_for(type, 8, kH200), MatmulKernel::vector);
    EXPECT_EQ(kernel_for(type, 9, kH200), MatmulKernel::cublas);
  }
  EXPECT_EQ(kernel_for(DType::f32, 512, kH200), MatmulKernel::vector);
}

TEST(Crossovers, WhatIsMissing) {
  EXPECT_EQ(kernel_for(DType::gptq, 512, with(LargeBatchLibrary::none)), MatmulKernel::tiles_of_64);
  EXPECT_EQ(kernel_for(DType::f16, 512, with(LargeBatchLibrary::none)), MatmulKernel::vector);
  EXPECT_EQ(kernel_for(DType::bf16, 512, with(LargeBatchLibrary::cublas_without_bf16)),
            MatmulKernel::vector);
  EXPECT_EQ(kernel_for(DType::f16, 512, with(LargeBatchLibrary::cublas_without_bf16)),
            MatmulKernel::cublas);
  EXPECT_EQ(kernel_for(DType::gptq, 512, with(LargeBatchLibrary::cublas_without_bf16)),
            MatmulKernel::cublas);
}

gptq::Division divide(const gptq::Layout& l, uint32_t rows, const Target& target) {
  const uint32_t row_block = row_block_of(kernel_without_lean(rows, target));
  return gptq::divide(l, gptq::column_tiles(l), rows, row_block, target);
}

uint32_t thread_blocks(const gptq::Division& d) {
  return gptq::divide_up(d.tiles, d.tiles_at_once) * d.row_blocks * d.splits;
}

// Blocks of K of the mean multiprocessor, as a fraction of those of the busiest.
double balance(const gptq::Layout& l, const gptq::Division& d, uint32_t multiprocessors) {
  const double busiest = double{1} * gptq::divide_up(thread_blocks(d), multiprocessors) *
                         d.tiles_at_once * d.blocks_per_split;
  return double{1} * d.tiles * d.row_blocks * gptq::blocks(l) / multiprocessors / busiest;
}

// Every block of K is in one split, none is empty; the products of Llama-2-13B keep the
// multiprocessors of an H200 and of a T4 equally busy, each with enough thread blocks.
TEST(Division, CoversAndBalances) {
  for (const Target& target : {kH200, kT4})
    for (const uint32_t rows : {1u, 8u, 16u, 32u, 64u, 128u})
      for (const auto& [depth, width] : {std::pair{5120u, 15360u}, std::pair{5120u, 5120u},
                                         std::pair{5120u, 27648u}, std::pair{13824u, 5120u}}) {
        SCOPED_TRACE(std::to_string(depth) + " x " + std::to_string(width) + ", " +
                     std::to_string(rows) + " rows, " + std::to_string(target.multiprocessors));
        const gptq::Layout l{depth, width, 4, 32, 1};
        const gptq::Division d = divide(l, rows, target);
        EXPECT_GE(d.row_blocks * d.row_block, rows);
        EXPECT_GE(d.splits * d.blocks_per_split, gptq::blocks(l));
        EXPECT_LT((d.splits - 1) * d.blocks_per_split, gptq::blocks(l));
        EXPECT_GT(balance(l, d, target.multiprocessors), 0.8);
        EXPECT_GE(gptq::divide_up(thread_blocks(d), target.multiprocessors), Tuning{}.busy_blocks);
      }
}

// Where K is split, partial sums take less than the codes do.
TEST(Division, SumsStayBelowTheCodes) {
  for (const uint32_t rows : {8u, 16u, 32u, 64u, 128u})
    for (const uint32_t width : {5120u, 15360u, 27648u}) {
      SCOPED_TRACE(std::to_string(width) + " columns, " + std::to_string(rows) + " rows");
      const gptq::Layout l{5120, width, 4, 32, 1};
      const gptq::Division d = divide(l, rows, kH200);
      EXPECT_TRUE(d.splits == 1 ||
                  d.splits * gptq::blocks_for_sums(l, d.row_block, {}) < gptq::blocks(l))
          << d.splits << " splits";
    }
}
// A thread block of 32 rows writes and reads 8 KiB for a tile; blocks of 4 bits in groups of 32
// have 640 bytes.
TEST(Division, BlocksForSums) {
  EXPECT_EQ(gptq::blocks_for_sums({5120, 5120, 4, 32, 1}, 32, {}), 8u);
  EXPECT_EQ(gptq::blocks_for_sums({5120, 5120, 8, 128, 1}, 64, {}), 10u);
}

// The memory plan is made before the scales of a weight are known.
TEST(Division, IsTheSameForScalesOfAnyType) {
  for (const uint32_t rows : {1u, 16u, 32u, 128u})
    for (const uint32_t group_size : {8u, 32u, 128u})
      for (uint32_t width = 64; width < 30000; width += 992) {
        const gptq::Division one = divide({5120, width, 4, group_size, 1}, rows, kH200);
        const gptq::Division two = divide({5120, width, 4, group_size, 2}, rows, kH200);
        ASSERT_EQ(one.splits, two.splits);
        ASSERT_EQ(one.blocks_per_split, two.blocks_per_split);
      }
}

TEST(Division, SmallOnes) {
  for (const uint32_t depth : {8u, 32u, 100u, 160u}) {
    const gptq::Layout l{depth, 33, 4, 8, 1};
    const gptq::Division d = gptq::divide(l, gptq::column_tiles(l), 1, 8, kH200);
    EXPECT_GE(d.splits * d.blocks_per_split, gptq::blocks(l));
    EXPECT_LT((d.splits - 1) * d.blocks_per_split, gptq::blocks(l));
  }
}

// Two waves of tiles of 128 x 128, whole tiles of columns, and no more than the weight has.
TEST(Slices, FillTheDevice) {
  const gptq::Layout gate{5120, 13824, 4, 32, 1}, down{13824, 5120, 4, 32, 1};
  EXPECT_EQ(columns_at_once(gate, DType::gptq, 512, kH200), 128u * 66);
  EXPECT_EQ(columns_at_once(gate, DType::gptq, 256, kH200), 13824u);
  EXPECT_EQ(columns_at_once(down, DType::gptq, 512, kH200), 5120u);
  EXPECT_EQ(columns_at_once(gate, DType::gptq, 512, kT4), 128u * 20);
  EXPECT_EQ(columns_at_once({5120, 40, 4, 32, 1}, DType::gptq, 512, kT4), 64u);
}

// A third of a cache that holds more than two waves; for a very deep weight the limit of the
// option, and at least one tile of columns.
TEST(Slices, AreBounded) {
  const gptq::Layout gate{5120, 200000, 4, 32, 1};
  EXPECT_EQ(columns_at_once(gate, DType::gptq, 512,
                            {40, 512 << 20, 75, 64 << 10, LargeBatchLibrary::cublas}),
            (512u << 20) / 3 / (5120 * 2) / 32 * 32);
  EXPECT_EQ(columns_at_once({1 << 20, 5120, 4, 32, 1}, DType::gptq, 512, kH200), 128u);
  EXPECT_EQ(columns_at_once({1 << 24, 5120, 4, 1 << 24, 1}, DType::gptq, 512, kH200), 32u);
}

// Every column of every part is in one group, in order. A group is as wide as the device wants it,
// and only without `joined` it ends with its part.
TEST(Slices, GroupsHaveEveryColumnOnce) {
  const std::vector<gptq::Layout> qkv = {
      {5120, 5120, 4, 32, 1}, {5120, 1000, 4, 32, 1}, {5120, 1000, 4, 32, 1}};
  const std::vector<gptq::Layout> gate_up(2, {5120, 13824, 4, 32, 1});
  Target apart = kH200;
  apart.choices.tuning.joined = 0;
  for (const Target& target : {kH200, apart, kT4})
    for (const uint32_t rows : {256u, 512u, 2048u})
      for (const bool pair : {false, true}) {
        const std::vector<gptq::Layout>& parts = pair ? gate_up : qkv;
        std::vector<uint32_t> next(parts.size());
        for (const Group& group : groups_of(parts, pair ? Parts::gate_and_up : Parts::in_order,
                                            DType::gptq, rows, target)) {
          if (pair) {
            ASSERT_EQ(group.size(), 2u);
            EXPECT_EQ(group[0].first, group[1].first);
            EXPECT_EQ(group[0].count, group[1].count);
          } else if (target.choices.tuning.joined == 0) {
            EXPECT_EQ(group.size(), 1u);
          }
          gptq::Layout all = parts[0];
          all.cols = 1u << 20;
          EXPECT_LE(width_of(group, DType::gptq),
                    columns_at_once(all, DType::gptq, rows, target) *
                        (pair && target.choices.tuning.joined == 0 ? 2 : 1));
          for (const Piece& piece : group) {
            EXPECT_EQ(piece.first, next[piece.part]);
            EXPECT_EQ(piece.first % 32, 0u);
            next[piece.part] += piece.count;
          }
        }
        for (size_t i = 0; i < parts.size(); ++i) EXPECT_EQ(next[i], parts[i].cols);
      }
  // q, k and v of 13B: 4 waves of tiles of 128 x 128 instead of 6
  const std::vector<gptq::Layout> thirteen(3, {5120, 5120, 4, 32, 1});
  EXPECT_EQ(groups_of(thirteen, Parts::in_order, DType::gptq, 512, kH200).size(), 2u);
  EXPECT_EQ(groups_of(thirteen, Parts::in_order, DType::gptq, 512, apart).size(), 3u);
}

TEST(Slices, OfDenseWeights) {
  EXPECT_EQ(columns_at_once({5120, 32000, 0, 5120, 0}, DType::f16, 512, kH200), 8192u);
  EXPECT_EQ(columns_at_once({5120, 96, 0, 5120, 0}, DType::bf16, 512, kH200), 96u);
}

// Keys that the mean multiprocessor reads, as a fraction of those of the busiest.
double balance(uint32_t blocks, uint32_t keys) {
  const uint32_t splits = attention_splits(blocks, keys, 4, kH200);
  const double busiest = double{1} * gptq::divide_up(blocks * splits, kH200.multiprocessors) *
                         gptq::divide_up(keys, splits);
  return double{1} * blocks * keys / kH200.multiprocessors / busiest;
}

// 40 heads of 13B, 1 to 32 rows, on an H200. A run costs as much as 128 keys, so some balance is
// given up for fewer runs.
TEST(AttentionSplits, Balance) {
  for (const uint32_t rows : {1u, 2u, 8u, 16u, 32u, 63u})
    for (const uint32_t keys : {2048u, 8192u}) {
      SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(keys) + " keys");
      EXPECT_GT(balance(rows * 40, keys), 0.90);
      EXPECT_GE(rows * 40 * attention_splits(rows * 40, keys, 4, kH200),
                std::min(4u * 120, rows * 40 * keys / Tuning{}.min_keys));
    }
  EXPECT_EQ(attention_splits(8 * 40, 8192, 4, kH200), 2u);
}

TEST(AttentionSplits, Few) {
  EXPECT_EQ(attention_splits(1, 256, 4, kH200), 4u);          // no run below 64 keys
  EXPECT_EQ(attention_splits(512 * 40, 8192, 4, kH200), 1u);  // enough rows
  EXPECT_EQ(attention_splits(1, 32, 4, kH200), 1u);
}

}  // namespace
}  // namespace ropewalk::cuda
