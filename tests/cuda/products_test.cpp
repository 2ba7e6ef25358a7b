// Which way a product goes and how it is divided, on the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backends/cuda/crossovers.h"
#include "backends/cuda/gptq/division.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;

TEST(Crossovers, RowsOfPackedWeights) {
  for (const uint32_t rows : {1u, 8u})
    EXPECT_EQ(way_of(DType::gptq, rows, LongProducts::cublas), Way::tiles_of_8);
  for (const uint32_t rows : {9u, 32u})
    EXPECT_EQ(way_of(DType::gptq, rows, LongProducts::cublas), Way::tiles_of_32);
  for (const uint32_t rows : {33u, 128u})
    EXPECT_EQ(way_of(DType::gptq, rows, LongProducts::cublas), Way::tiles_of_64);
  for (const uint32_t rows : {129u, 512u})
    EXPECT_EQ(way_of(DType::gptq, rows, LongProducts::cublas), Way::cublas);
}

TEST(Crossovers, RowsOfDenseWeights) {
  for (const DType type : {DType::f16, DType::bf16}) {
    EXPECT_EQ(way_of(type, 8, LongProducts::cublas), Way::vector);
    EXPECT_EQ(way_of(type, 9, LongProducts::cublas), Way::cublas);
  }
  EXPECT_EQ(way_of(DType::f32, 512, LongProducts::cublas), Way::vector);
}

TEST(Crossovers, WhatIsMissing) {
  EXPECT_EQ(way_of(DType::gptq, 512, LongProducts::packed), Way::tiles_of_64);
  EXPECT_EQ(way_of(DType::f16, 512, LongProducts::packed), Way::vector);
  EXPECT_EQ(way_of(DType::bf16, 512, LongProducts::cublas_without_bf16), Way::vector);
  EXPECT_EQ(way_of(DType::f16, 512, LongProducts::cublas_without_bf16), Way::cublas);
  EXPECT_EQ(way_of(DType::gptq, 512, LongProducts::cublas_without_bf16), Way::cublas);
}

// Blocks of K of the busiest multiprocessor, and of the mean one.
double balance(const gptq::Layout& l, const gptq::Division& d, uint32_t multiprocessors) {
  const uint32_t thread_blocks = d.tiles * d.row_blocks * d.splits;
  const double busiest =
      double{1} * gptq::divide_up(thread_blocks, multiprocessors) * d.blocks_per_split;
  return double{1} * d.tiles * d.row_blocks * gptq::blocks(l) / multiprocessors / busiest;
}

// Every block of K is in one split, none is empty, and the products of Llama-2-13B keep the
// multiprocessors of an H200 and of a T4 equally busy.
TEST(Division, CoversAndBalances) {
  for (const uint32_t multiprocessors : {132u, 40u})
    for (const uint32_t rows : {1u, 8u, 32u, 128u})
      for (const auto& [depth, width] : {std::pair{5120u, 15360u}, std::pair{5120u, 5120u},
                                         std::pair{5120u, 27648u}, std::pair{13824u, 5120u}}) {
        SCOPED_TRACE(std::to_string(depth) + " x " + std::to_string(width) + ", " +
                     std::to_string(rows) + " rows, " + std::to_string(multiprocessors));
        const gptq::Layout l{depth, width, 4, 32, 1};
        const uint32_t row_block = rows <= 8 ? 8 : rows <= 32 ? 32 : 64;
        const gptq::Division d =
            gptq::divide(l, gptq::column_tiles(l), rows, row_block, multiprocessors);
        EXPECT_GE(d.row_blocks * d.row_block, rows);
        EXPECT_GE(d.splits * d.blocks_per_split, gptq::blocks(l));
        EXPECT_LT((d.splits - 1) * d.blocks_per_split, gptq::blocks(l));
        EXPECT_GT(balance(l, d, multiprocessors), 0.9);
      }
}

TEST(Division, SmallOnes) {
  for (const uint32_t depth : {8u, 32u, 100u, 160u}) {
    const gptq::Layout l{depth, 33, 4, 8, 1};
    const gptq::Division d = gptq::divide(l, gptq::column_tiles(l), 1, 8, 132);
    EXPECT_GE(d.splits * d.blocks_per_split, gptq::blocks(l));
    EXPECT_LT((d.splits - 1) * d.blocks_per_split, gptq::blocks(l));
  }
}

}  // namespace
}  // namespace ropewalk::cuda
