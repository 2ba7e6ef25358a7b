// Where x is staged for the products of 9 rows and more, on the host.
#include "backends/cuda/gptq/stage.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kThreads = 128, kRows = 64, kQuarter = 8, kBanks = 32;

// Which of the 32 banks 16 bytes lie in: 4 of them.
uint32_t bank_of(uint32_t half) { return half * 2 / 4 % kBanks; }

TEST(Stage, EveryChunkIsCopiedOnce) {
  for (const uint32_t rows : {16u, 32u, 64u}) {
    std::set<std::pair<uint32_t, uint32_t>> chunks;
    std::set<uint32_t> places;
    for (uint32_t n = 0; n < rows * kRowChunks / kThreads; ++n)
      for (uint32_t thread = 0; thread < kThreads; ++thread) {
        const Chunk at = copied_chunk(kThreads, thread, n);
        ASSERT_LT(at.row, rows);
        ASSERT_LT(at.chunk, kRowChunks);
        chunks.insert({at.row, at.chunk});
        const uint32_t place = stage_at(at.row, at.chunk);
        EXPECT_EQ(place % kChunkElements, 0u);
        EXPECT_LE(place + kChunkElements, rows * kStageElements);
        places.insert(place);
      }
    EXPECT_EQ(chunks.size(), rows * kRowChunks);
    EXPECT_EQ(places.size(), rows * kRowChunks);
  }
}

// What is copied from the elements 8 chunk .. 8 chunk + 7 of a row is what a lane finds for its
// rows 8t .. 8t + 7 of a block.
TEST(Stage, ALaneFindsItsShare) {
  std::vector<uint32_t> staged(kRows * kStageElements);
  for (uint32_t row = 0; row < kRows; ++row)
    for (uint32_t k = 0; k < kStageElements; ++k)
      staged[stage_at(row, k / kChunkElements) + k % kChunkElements] = row * kStageElements + k;
  for (uint32_t tile = 0; tile < kRows / 8; ++tile)
    for (uint32_t block = 0; block < kStageBlocks; ++block)
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        for (uint32_t i = 0; i < kLaneRows; ++i) {
          const uint32_t row = tile * 8 + fragment_row(lane);
          EXPECT_EQ(staged[stage_at(row, chunk_of(block, lane)) + i],
                    row * kStageElements + block * kBlockRows + row_of(lane, i));
        }
}

// The 8 lanes of a quarter warp touch every bank once, in loads and in copies.
TEST(Stage, NoBankTwice) {
  const auto check = [](const auto& place) {
    for (uint32_t first = 0; first < kLanes; first += kQuarter) {
      std::set<uint32_t> banks;
      for (uint32_t lane = first; lane < first + kQuarter; ++lane)
        banks.insert(bank_of(place(lane)));
      EXPECT_EQ(banks.size(), kQuarter);
    }
  };
  for (uint32_t tile = 0; tile < kRows / 8; ++tile)
    for (uint32_t block = 0; block < kStageBlocks; ++block)
      check([&](uint32_t lane) {
        return stage_at(tile * 8 + fragment_row(lane), chunk_of(block, lane));
      });
  for (uint32_t n = 0; n < kRows * kRowChunks / kThreads; ++n)
    for (uint32_t warp = 0; warp < kThreads / kLanes; ++warp)
      check([&](uint32_t lane) {
        const Chunk at = copied_chunk(kThreads, warp * kLanes + lane, n);
        return stage_at(at.row, at.chunk);
      });
}

// The fragment of sums as the PTX manual draws it for mma.m16n8k16, with the instruction's rows g
// and g + 8 the lane's columns 2p and 2p + 1: every sum of a tile is with one lane.
TEST(Stage, SumsOfATile) {
  EXPECT_EQ(sum_row(0, 0), 0u);
  EXPECT_EQ(sum_row(7, 3), 7u);        // t = 3: columns 6 and 7 of the instruction
  EXPECT_EQ(sum_column(7, 0, 0), 1u);  // g = 1
  EXPECT_EQ(sum_column(7, 0, 2), 9u);  // g + 8
  EXPECT_EQ(sum_column(7, 1, 3), 25u);
  std::set<std::pair<uint32_t, uint32_t>> sums;
  for (uint32_t lane = 0; lane < kLanes; ++lane)
    for (uint32_t p = 0; p < 2; ++p)
      for (uint32_t i = 0; i < 4; ++i) sums.insert({sum_row(lane, i), sum_column(lane, p, i)});
  EXPECT_EQ(sums.size(), 8u * kTileColumns);
}

// The instruction computed on the host, from the fragments that layout.h's maps make: a block of
// codes times a tile of rows, every product once.
TEST(Stage, FragmentsMultiplyABlock) {
  const auto code = [](uint32_t k, uint32_t n) { return 1 + k * 3 + n * 7; };
  const auto x = [](uint32_t row, uint32_t k) { return 2 + row * 5 + k * 11; };
  for (uint32_t p = 0; p < 2; ++p)
    for (uint32_t row = 0; row < 8; ++row)
      for (uint32_t m = 0; m < 16; ++m) {
        uint64_t sum = 0;
        for (uint32_t step = 0; step < 2; ++step)
          for (uint32_t k = 0; k < 16; ++k) {
            // Registers of the PTX manual: a0 (g, 2t) a1 (g+8, 2t) a2 (g, 2t+8) a3 (g+8, 2t+8),
            // b0 (2t, g) b1 (2t+8, g).
            const uint32_t t = k % 8 / 2, left = m / 8 + k / 8 * 2, right = k / 8;
            const uint32_t left_lane = m % 8 * 4 + t, right_lane = row * 4 + t;
            const uint32_t left_k = row_of(left_lane, 2 * left_pair(step, left) + k % 2);
            const uint32_t right_k = row_of(right_lane, 2 * right_pair(step, right) + k % 2);
            ASSERT_EQ(left_k, right_k);
            sum += uint64_t{code(left_k, column_of(left_lane, 2 * p + left % 2))} *
                   x(fragment_row(right_lane), right_k);
          }
        // The lane and register that hold sum (m, row) of the instruction.
        const uint32_t lane = m % 8 * 4 + row / 2, i = m / 8 * 2 + row % 2;
        uint64_t expected = 0;
        for (uint32_t k = 0; k < kBlockRows; ++k)
          expected += uint64_t{code(k, sum_column(lane, p, i))} * x(sum_row(lane, i), k);
        EXPECT_EQ(sum, expected) << m << ", " << row;
      }
}

}  // namespace
}  // namespace ropewalk::cuda::gptq
