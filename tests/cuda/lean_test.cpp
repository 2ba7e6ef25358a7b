// The host functions of gptq/lean/matmul.cu: every block of K belongs to one warp, shares are
// balanced, shared memory is large enough, small headers are what the packing kernels write, and
// the start of the sums leaves code - zero.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "backends/cuda/device/tuning.h"
#include "backends/cuda/gptq/fragment.h"
#include "backends/cuda/gptq/lean/shared_layout.h"
#include "backends/cuda/gptq/lean/shares.h"
#include "backends/cuda/gptq/lean/x.h"

namespace ropewalk::cuda::gptq {
namespace {

constexpr ShareCosts kCosts{Tuning{}.segment_blocks, 0, 3};
// Of a product of so many rows, from 9 on.
constexpr ShareCosts wide_costs(uint32_t rows) {
  return {Tuning{}.segment_blocks * rows / 8, rows, 8};
}

struct Case {
  uint32_t tiles, blocks, max_slice_blocks, multiprocessors;
  ShareCosts costs = kCosts;
};
constexpr Case kCases[] = {{480, 160, 512, 132},
                           {160, 160, 512, 132},
                           {864, 160, 512, 132},
                           {160, 432, 512, 132},
                           {480, 160, 64, 132},
                           {160, 160, 64, 132},
                           {864, 160, 64, 132},
                           {160, 432, 64, 132},
                           {480, 160, 480, 40},
                           {160, 432, 56, 40},
                           {1, 1, 64, 132},
                           {3, 5, 512, 3},
                           {2, 65, 64, 3},
                           {1, 700, 64, 3},
                           {5, 33, 7, 2},
                           {160, 160, 72, 132, wide_costs(32)},
                           {864, 160, 36, 132, wide_costs(64)},
                           {7, 33, 16, 3, wide_costs(16)}};

std::string case_name_of(const Case& c) {
  return std::to_string(c.tiles) + " tiles, " + std::to_string(c.blocks) + " blocks, slices of " +
         std::to_string(c.max_slice_blocks) + ", " + std::to_string(c.multiprocessors);
}

// Parts follow one another, differ by one at most, and part_of() finds the part of each item.
TEST(LeanShares, PartsCoverEveryItemOnce) {
  for (const uint32_t total : {1u, 7u, 8u, 9u, 100u, 25600u, 69121u})
    for (const uint32_t parts : {1u, 3u, 8u, 132u}) {
      SCOPED_TRACE(std::to_string(total) + " among " + std::to_string(parts));
      uint32_t next = 0;
      for (uint32_t i = 0; i < parts; ++i) {
        const Range range = part_at(total, parts, i);
        ASSERT_EQ(range.begin, next);
        ASSERT_LE(range.count - total / parts, 1u);
        next += range.count;
        for (uint32_t n = range.begin; n < next; ++n) ASSERT_EQ(part_of(total, parts, n), i);
      }
      EXPECT_EQ(next, total);
    }
}

// Every block of every tile belongs to the warp that warp_of() names. Empty shares come last.
TEST(LeanShares, CoverEveryBlockOnce) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(case_name_of(c));
    const Shares s = share_out(c.tiles, c.blocks, c.max_slice_blocks, c.multiprocessors, c.costs);
    EXPECT_LE(slice_blocks(s), c.max_slice_blocks);
    std::vector<uint32_t> seen(uint64_t{c.tiles} * c.blocks);
    for (uint32_t index = 0; index < s.slices; ++index) {
      const Slice slice = slice_at(s, index);
      for (uint32_t warp = 0, before = 1; warp < s.warps; ++warp) {
        const Share share = share_of(s, slice, warp);
        ASSERT_TRUE(before > 0 || share.count == 0);
        before = share.count;
        for (uint32_t i = share.begin; i < share.begin + share.count; ++i) {
          const uint32_t tile = i / slice.blocks, block = i % slice.blocks;
          ASSERT_EQ(warp_of(s, slice, tile, block), warp);
          ++seen[uint64_t{tile} * c.blocks + slice.begin + block];
        }
      }
    }
    for (const uint32_t times : seen) ASSERT_EQ(times, 1u);
  }
}

// Each segment has an index of its own, below segment_count().
TEST(LeanShares, SegmentsHavePlaces) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(case_name_of(c));
    const Shares s = share_out(c.tiles, c.blocks, c.max_slice_blocks, c.multiprocessors, c.costs);
    std::set<uint64_t> places;
    for (uint32_t index = 0; index < s.slices; ++index) {
      const Slice slice = slice_at(s, index);
      for (uint32_t tile = 0; tile < c.tiles; ++tile) {
        const TileSegments found = segments_of(s, index, tile);
        uint32_t count = 0;
        for (uint32_t w = warp_of(s, slice, tile, 0);
             w <= warp_of(s, slice, tile, slice.blocks - 1); ++w) {
          const uint64_t place = segment_at(s, slice, index, w, tile);
          ASSERT_LT(place, segment_count(s));
          ASSERT_LT(place - first_segment_at(s, index, w), s.segments);
          if (w > warp_of(s, slice, tile, 0)) {
            ASSERT_EQ(place, first_segment_at(s, index, w));
          }
          ASSERT_TRUE(places.insert(place).second);
          ASSERT_EQ(found.place(count++), place);
        }
        ASSERT_EQ(found.count, count);
      }
    }
  }
}

// The products of Llama-2-13B on an H200: one wave, and the busiest multiprocessor has at most 2 %
// more than the mean.
TEST(LeanShares, OneBalancedWave) {
  for (const uint32_t max_blocks : {480u, 64u, 56u})
    for (const auto& [tiles, blocks] : {std::pair{480u, 160u}, std::pair{160u, 160u},
                                        std::pair{864u, 160u}, std::pair{160u, 432u}}) {
      SCOPED_TRACE(std::to_string(tiles) + " tiles, slices of " + std::to_string(max_blocks));
      const Shares s = share_out(tiles, blocks, max_blocks, 132, kCosts);
      EXPECT_LE(thread_blocks_of(s), 132u);
      uint32_t busiest = 0;
      for (uint32_t index = 0; index < s.slices; ++index)
        for (uint32_t warp = 0; warp < s.warps; warp += kLeanWarps) {
          const Slice slice = slice_at(s, index);
          const Share first = share_of(s, slice, warp);
          const Share last = share_of(s, slice, warp + kLeanWarps - 1);
          busiest = std::max(busiest, last.begin + last.count - first.begin);
        }
      EXPECT_GT(double{1} * tiles * blocks / 132 / busiest, 0.98);
    }
}

// Nothing overlaps, everything is aligned for the loads that read it.
TEST(LeanSharedLayout, HoldsWhatItMust) {
  for (const Copies copies : {Copies::none, Copies::async_16, Copies::bulk})
    for (const uint32_t block_bytes : {576u, 592u})
      for (const uint32_t heads : {0u, 32u, 128u, 256u})
        for (const uint32_t pairs : {1u, 8u, 160u, 512u}) {
          const LeanSharedLayout layout = lean_shared_layout(copies, block_bytes, pairs, heads, 0);
          EXPECT_EQ(layout.x, 8u * stages_of(copies) * 4 * block_bytes);
          EXPECT_GE(layout.starts, layout.x + pairs * 64);
          EXPECT_GE(layout.factors, layout.starts + pairs * 8);
          EXPECT_GE(layout.barriers, layout.factors + std::max(pairs * 4, 8 * heads * 4));
          EXPECT_GE(layout.max_scale, layout.barriers + 8 * stages_of(copies) * 8);
          EXPECT_GE(layout.end, layout.max_scale + 8 * 8 * 4);
          EXPECT_EQ((layout.x | layout.starts) % 16, 0u);
          EXPECT_EQ(layout.barriers % 8, 0u);
          EXPECT_EQ(layout.factors % 4, 0u);
        }
}

// Two thread blocks fit on an H200, each with 1 KiB for CUDA; one on every other GPU.
TEST(LeanSharedLayout, FitsTheCard) {
  for (const uint32_t heads : {0u, 128u, 256u}) {
    const auto end = [&](Copies copies, uint32_t shared_kib) {
      const uint32_t pairs = max_pairs(copies, heads, shared_kib << 10);
      EXPECT_GE(pairs, 8u * 48);
      return lean_shared_layout(copies, kMaxBlockBytes, pairs, heads, 0).end;
    };
    EXPECT_LE(2 * (end(Copies::bulk, 227) + 1024), 228u << 10);
    EXPECT_LE(end(Copies::async_16, 163), 163u << 10);
    EXPECT_LE(end(Copies::async_16, 99), 99u << 10);
    EXPECT_LE(end(Copies::none, 64), 64u << 10);
  }
}

// From 9 rows on a thread block may fill the card. Nothing overlaps, everything is aligned.
TEST(WideSharedLayout, HoldsWhatItMust) {
  for (const auto& [copies, shared_kib] :
       {std::pair{Copies::bulk, 227u}, std::pair{Copies::async_16, 163u},
        std::pair{Copies::none, 64u}})
    for (const uint32_t rows : {16u, 32u, 64u})
      for (const uint32_t heads : {0u, 128u, 256u}) {
        const uint32_t blocks = max_wide_blocks(copies, rows, heads, shared_kib << 10);
        EXPECT_GE(blocks, shared_kib == 64 ? 15u : 21u);
        const WideSharedLayout layout =
            wide_shared_layout(copies, kMaxBlockBytes, blocks * rows, heads);
        EXPECT_EQ(layout.x, 8u * stages_of(copies) * 4 * kMaxBlockBytes);
        EXPECT_GE(layout.barriers, layout.x + std::max(blocks * rows * 64, 8 * heads * 4));
        EXPECT_GE(layout.finished, layout.barriers + 8 * stages_of(copies) * 8);
        EXPECT_GE(layout.end, layout.finished + 4 + 4 * kMaxFinished);
        EXPECT_LE(layout.end, shared_kib << 10);
        EXPECT_EQ(layout.x % 16 | layout.barriers % 8, 0u);
      }
  EXPECT_EQ(max_wide_blocks(Copies::async_16, 16, 2048, 99 << 10), 0u);  // no room for heads
}

// Llama-2-13B on an H200: one wave within 12 % of balanced, whose sums are no more bytes than the
// weights up to 27 rows, and which finishes no more groups than it can note.
TEST(WideShares, OfAKnownModel) {
  for (const uint32_t rows : {16u, 32u, 64u})
    for (const auto& [tiles, blocks] : {std::pair{480u, 160u}, std::pair{160u, 160u},
                                        std::pair{864u, 160u}, std::pair{160u, 432u}}) {
      SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(tiles) + " tiles");
      const uint32_t max_blocks = max_wide_blocks(Copies::bulk, rows, 128, 227 << 10);
      const Shares s = share_out(tiles, blocks, max_blocks, 132, wide_costs(rows));
      EXPECT_LE(thread_blocks_of(s), 132u);
      EXPECT_GT(double{1} * tiles * blocks / (132 * kLeanWarps),
                0.88 * share_of(s, slice_at(s, 0), 0).count);
      EXPECT_LE(kLeanWarps * s.segments, kMaxFinished);
      const uint64_t sums = 2 * segment_count(s) * rows * kTileColumns * 4;
      EXPECT_LT(27 * sums, uint64_t{592} * tiles * blocks * rows);
    }
}

Layout small(uint32_t rows, uint32_t cols, Zeros zeros, uint32_t zero) {
  return {rows, cols, 4, 32, 1, zeros, zero};
}

// 4.625 bits a code, or 4.5.
TEST(SmallHeaders, BytesOfAKnownWeight) {
  EXPECT_EQ(total_words(small(5120, 5120, Zeros::nibbles, 1)) * 4, 5120u * 5120 / 1024 * 592);
  EXPECT_EQ(total_words(small(5120, 5120, Zeros::constant, 8)) * 4, 5120u * 5120 / 1024 * 576);
  EXPECT_EQ(small_block_bytes(Zeros::nibbles), kMaxBlockBytes);
}

// As layout.h draws them: lane 4g's are of the columns g, g + 8, g + 16 and g + 24.
TEST(SmallHeaders, AreWhatTheDrawingSays) {
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t bits[4] = {0, 8, 4, 12};
    for (uint32_t j = 0; j < 4; ++j) {
      EXPECT_EQ(small_scale_at(g + 8 * j), 4 * g + j);
      EXPECT_EQ(small_zero_bit(g + 8 * j), 16 * g + bits[j]);
    }
  }
}

struct Weight {
  Layout layout;
  std::vector<uint32_t> qweight, qzeros, order;
  std::vector<uint16_t> scales;

  explicit Weight(const Layout& l) : layout(l), order(l.cols), scales(groups(l) * l.cols) {
    std::mt19937 random(5);
    qweight.resize(l.rows / 8 * l.cols);
    qzeros.resize((l.cols + 7) / 8 * groups(l));
    for (uint32_t& word : qweight) word = static_cast<uint32_t>(random());
    for (uint32_t& word : qzeros) word = static_cast<uint32_t>(random());
    for (uint16_t& scale : scales) scale = static_cast<uint16_t>(random());
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
  }
  Stored view() const {
    return {qweight.data(),
            qzeros.data(),
            reinterpret_cast<const std::byte*>(scales.data()),
            nullptr,
            order.data(),
            ScaleType::f16,
            1};
  }
  uint32_t nibble(uint32_t group, uint32_t column) const {
    const uint32_t n = order[column];
    return qzeros[group * ((layout.cols + 7) / 8) + n / 8] >> n % 8 * 4 & 15;
  }
};

TEST(SmallHeaders, HaveTheStoredScalesAndZeros) {
  const Weight w(small(96, 70, Zeros::nibbles, 1));
  for (uint32_t tile = 0; tile < column_tiles(w.layout); ++tile)
    for (uint32_t group = 0; group < groups(w.layout); ++group)
      for (uint32_t g = 0; g < 8; ++g) {
        uint32_t words[3];
        small_header_fragment(w.view(), w.layout, tile, group, 4 * g, words);
        EXPECT_EQ(words[2] >> 16, 0u);
        for (uint32_t j = 0; j < 4; ++j) {
          const uint32_t column = tile * 32 + g + 8 * j;
          const bool fills = column >= w.layout.cols;
          const uint32_t scale = words[j / 2] >> j % 2 * 16 & 0xffff;
          const uint32_t zero = words[2] >> small_zero_bit(g + 8 * j) % 16 & 15;
          EXPECT_EQ(scale, fills ? 0u : w.scales[group * w.layout.cols + w.order[column]]);
          EXPECT_EQ(zero, fills ? 0u : w.nibble(group, column));
        }
      }
}

// What the tensor cores add up over a lane's rows of a column, from the words as they are masked:
// with the start 960 H - (1024 + zero) S it is sum x (code - zero), exactly.
TEST(LeanStart, LeavesCodeLessZero) {
  std::mt19937 random(3);
  for (uint32_t round = 0; round < 100; ++round) {
    uint32_t word = 0;
    double x[8], expected = 0, sum = 0, all = 0, high = 0;
    const auto zero = static_cast<uint32_t>(random() % 17);
    for (uint32_t i = 0; i < 8; ++i) {
      const auto code = static_cast<uint32_t>(random() % 16);
      word |= code << code_bit(4, 0, i);
      x[i] = static_cast<double>(random() % 2001) - 1000;
      expected += x[i] * (double{1} * code - zero);
      all += x[i];
      if (is_high(i)) high += x[i];
    }
    for (uint32_t step = 0; step < 2; ++step)
      for (uint32_t pair = 2 * step; pair < 2 * step + 2; ++pair)
        for (uint32_t half = 0; half < 2; ++half) {
          const uint32_t k = 2 * pair + half, shifted = word >> 8 * step;
          const uint32_t mask = pair % 2 == 0 ? 0x000f000f : 0x00f000f0;
          const uint32_t mantissa = (shifted & mask) >> 16 * half & 0x3ff;
          EXPECT_EQ(is_high(k), pair % 2 == 1);
          sum += (1024.0 + mantissa) * (is_high(k) ? x[k] / 16 : x[k]);
        }
    EXPECT_EQ(960 * high - (1024.0 + zero) * all + sum, expected);
  }
}

// 64 bytes of elements and 16 of sums for each (block, row).
TEST(LeanX, HasRoomForEveryRow) {
  EXPECT_EQ(lean_rows(1), 1u);
  for (const uint32_t bucket : {2u, 4u, 8u}) EXPECT_EQ(lean_rows(bucket), 8u);
  EXPECT_EQ(prepared_bytes(1, 5120), 160u * (64 + 16));
  EXPECT_EQ(prepared_bytes(4, 5121), 161u * 8 * (64 + 16));
}

}  // namespace
}  // namespace ropewalk::cuda::gptq
