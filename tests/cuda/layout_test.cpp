// The layout of packed weights of the CUDA backend, on the host: every code of every shape has its
// own bits, every word of a tile is used, and codes that are written there can be read back.
#include "backends/cuda/gptq/layout.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace ropewalk::cuda::gptq {
namespace {

// One test for all shapes of a code width: thousands of small tests are slow to start.
class LayoutTest : public testing::TestWithParam<uint32_t> {
 protected:
  template <class Check>
  void for_each_layout(const Check& check) const {
    const auto run = [&](const Layout& l) {
      if (HasFatalFailure()) return;
      SCOPED_TRACE(std::to_string(l.rows) + " rows, " + std::to_string(l.cols) + " columns, " +
                   std::to_string(l.group_size) + " a group, " + std::to_string(l.header_words) +
                   " header words");
      check(l);
    };
    for (const uint32_t rows : {32, 96, 100, 257})
      for (const uint32_t cols : {1, 31, 32, 33, 64, 70})
        for (const uint32_t group_size : {1, 8, 24, 32})
          for (const uint32_t header_words : {1, 2})
            run({rows, cols, GetParam(), group_size, header_words});
    for (const uint32_t group_size : {64, 100}) run({100, 40, GetParam(), group_size, 1});
  }
};

// The bits of a code: word of the weight and shift; the rest is in the next word.
struct Place {
  uint64_t word, next;
  uint32_t shift;
};

Place place(const Layout& l, uint64_t tile, uint32_t block, uint32_t lane, uint32_t bit) {
  const uint64_t at = tile * tile_words(l) + block_at(l, block);
  const uint32_t word = bit / 32;
  return {at + lane_word(l.bits, lane, word),
          bit % 32 + l.bits > 32 ? at + lane_word(l.bits, lane, word + 1) : 0, bit % 32};
}

template <class Visit>  // visit(row, column, Place)
void each_code(const Layout& l, const Visit& visit) {
  for (uint32_t tile = 0; tile < column_tiles(l); ++tile)
    for (uint32_t block = 0; block < blocks(l); ++block)
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        for (uint32_t j = 0; j < kLaneColumns; ++j)
          for (uint32_t i = 0; i < kLaneRows; ++i) {
            const uint32_t column = tile * kTileColumns + column_of(lane, j);
            const uint32_t row = row_of(lane, i);
            if (column >= l.cols || row >= rows_of_block(l, block)) continue;
            visit(first_row(l, block) + row, column,
                  place(l, tile, block, lane, code_bit(l.bits, j, i)));
          }
}

void every_weight_is_read_once(const Layout& l) {
  std::vector<uint32_t> seen(uint64_t{l.rows} * l.cols);
  each_code(l, [&](uint32_t row, uint32_t column, const Place&) {
    ASSERT_LT(row, l.rows);
    ++seen[uint64_t{row} * l.cols + column];
  });
  for (const uint32_t times : seen) ASSERT_EQ(times, 1u);
}

void rows_of_a_block_share_its_group(const Layout& l) {
  for (uint32_t block = 0; block < blocks(l); ++block) {
    const uint32_t group = block / blocks_per_group(l);
    ASSERT_GT(rows_of_block(l, block), 0u);
    EXPECT_EQ(first_row(l, block) / l.group_size, group);
    EXPECT_EQ((first_row(l, block) + rows_of_block(l, block) - 1) / l.group_size, group);
  }
}

// Bits of headers and of every lane's stream, padding included, cover the weight once.
void every_bit_has_one_owner(const Layout& l) {
  std::vector<uint32_t> owned(total_words(l));
  const auto own = [&](uint64_t word, uint32_t mask) {
    ASSERT_LT(word, owned.size());
    ASSERT_EQ(owned[word] & mask, 0u) << "word " << word;
    owned[word] |= mask;
  };
  for (uint32_t tile = 0; tile < column_tiles(l); ++tile) {
    const uint64_t begin = tile * tile_words(l);
    for (uint32_t group = 0; group < groups(l); ++group)
      for (uint32_t column = 0; column < kTileColumns; ++column)
        for (uint32_t word = 0; word < l.header_words; ++word)
          own(begin + header_at(l, group) + header_word(l, column) + word, ~0u);
    for (uint32_t block = 0; block < blocks(l); ++block)
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        for (uint32_t code = 0; code < kLaneColumns * kLaneRows; ++code) {
          const uint32_t bit = code_bit(l.bits, code / kLaneRows, code % kLaneRows);
          const Place p = place(l, tile, block, lane, bit);
          const uint64_t mask = ((uint64_t{1} << l.bits) - 1) << p.shift;
          own(p.word, static_cast<uint32_t>(mask));
          if (mask >> 32) own(p.next, static_cast<uint32_t>(mask >> 32));
        }
  }
  for (const uint32_t bits : owned) ASSERT_EQ(bits, ~0u);
}

void what_is_packed_comes_back(const Layout& l) {
  std::mt19937 random(7);
  std::vector<uint32_t> codes(uint64_t{l.rows} * l.cols), words(total_words(l));
  for (uint32_t& code : codes) code = static_cast<uint32_t>(random()) & ((1u << l.bits) - 1);
  each_code(l, [&](uint32_t row, uint32_t column, const Place& p) {
    const uint64_t code = uint64_t{codes[uint64_t{row} * l.cols + column]} << p.shift;
    words[p.word] |= static_cast<uint32_t>(code);
    if (code >> 32) words[p.next] |= static_cast<uint32_t>(code >> 32);
  });
  each_code(l, [&](uint32_t row, uint32_t column, const Place& p) {
    uint64_t window = words[p.word];
    if (p.next) window |= uint64_t{words[p.next]} << 32;
    const uint64_t code = window >> p.shift & ((1u << l.bits) - 1);
    ASSERT_EQ(code, codes[uint64_t{row} * l.cols + column]) << row << ", " << column;
  });
}

// What a warp loads at once is aligned and contiguous: 16 bytes a lane for 4 and 8 bits.
void loads_are_aligned(const Layout& l) {
  EXPECT_EQ(tile_words(l) % 4, 0u);
  for (uint32_t block = 0; block < blocks(l); ++block) EXPECT_EQ(block_at(l, block) % 4, 0u);
  for (uint32_t group = 0; group < groups(l); ++group) EXPECT_EQ(header_at(l, group) % 4, 0u);
  const uint32_t unit = unit_words(l.bits);
  for (uint32_t lane = 0; lane < kLanes; ++lane)
    for (uint32_t word = 0; word < l.bits; ++word) {
      EXPECT_EQ(lane_word(l.bits, lane, word) % unit, word % unit);
      EXPECT_LT(lane_word(l.bits, lane, word), block_words(l));
    }
}

TEST_P(LayoutTest, EveryWeightIsReadOnce) { for_each_layout(every_weight_is_read_once); }
TEST_P(LayoutTest, RowsOfABlockShareItsGroup) { for_each_layout(rows_of_a_block_share_its_group); }
TEST_P(LayoutTest, EveryBitHasOneOwner) { for_each_layout(every_bit_has_one_owner); }
TEST_P(LayoutTest, WhatIsPackedComesBack) { for_each_layout(what_is_packed_comes_back); }
TEST_P(LayoutTest, LoadsAreAligned) { for_each_layout(loads_are_aligned); }

INSTANTIATE_TEST_SUITE_P(Bits, LayoutTest, testing::Values(2, 3, 4, 8));

// A multiplication instead of a division, for every block of a group of any number of blocks.
TEST(Layout, GroupsWithoutDivision) {
  for (uint32_t per = 1; per <= 1000; ++per) {
    const Layout l{per * kBlockRows * 3, 32, 4, per * kBlockRows, 1};
    ASSERT_EQ(blocks_per_group(l), per);
    const uint32_t divisor = group_divisor(l);
    for (uint32_t block = 0; block < 70000; block += 1 + block / 500)
      for (const uint32_t at : {block, (block / per + 1) * per - 1})
        ASSERT_EQ(group_of(divisor, at), at / per) << at << " of " << per;
  }
}

TEST_P(LayoutTest, ContiguousBlocksHoldTheirRows) {
  for_each_layout([](const Layout& l) {
    bool contiguous = true;
    for (uint32_t block = 0; block < blocks(l); ++block)
      contiguous = contiguous && first_row(l, block) == block * kBlockRows;
    EXPECT_EQ(is_contiguous(l), contiguous);
  });
}

// The nibbles of a word of 4-bit codes, as a literal: k7 k5 k3 k1 k6 k4 k2 k0.
TEST(Layout, NibblesAreInterleaved) {
  uint32_t word = 0;
  for (uint32_t i = 0; i < 8; ++i) word |= (i + 1) << code_bit(4, 0, i);
  EXPECT_EQ(word, 0x86427531u);
}

// 13B's q_proj with groups of 32: 4 bits and one word of scale and zero for each 32 codes.
TEST(Layout, BytesOfAKnownWeight) {
  const Layout l{5120, 5120, 4, 32, 1};
  EXPECT_EQ(total_words(l) * 4, 5120ull * 5120 * 5 / 8);
}

}  // namespace
}  // namespace ropewalk::cuda::gptq
