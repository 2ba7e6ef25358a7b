// What the packing kernels of the CUDA backend write, on the host: a stored weight with orders goes
// into tiles and back, and is compared with the formula of core/abi/weight.h. Then the product that
// the tensor cores compute from it, with their fragments as the PTX manual draws them.
#include "backends/cuda/gptq/fragment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/abi/weight.h"

namespace ropewalk::cuda::gptq {
namespace {

enum class Orders { as_stored, shuffled };

struct StoredWeight {
  Layout layout;
  std::vector<uint32_t> qweight, qzeros, row_order, column_order;
  std::vector<uint32_t> scales;  // bits of f32, or of f16 in pairs

  StoredWeight(const Layout& l, Orders orders) : layout(l) {
    std::mt19937 random(l.bits * 1000 + l.rows);
    const auto fill = [&](std::vector<uint32_t>& words, uint64_t count) {
      words.resize(count);
      for (uint32_t& word : words) word = static_cast<uint32_t>(random());
    };
    fill(qweight, (uint64_t{l.rows} * l.bits + 31) / 32 * l.cols);
    fill(qzeros, (uint64_t{l.cols} * l.bits + 31) / 32 * groups(l));
    fill(scales, uint64_t{groups(l)} * l.cols);
    if (orders == Orders::as_stored) return;
    row_order.resize(l.rows);
    column_order.resize(l.cols);
    for (std::vector<uint32_t>* order : {&row_order, &column_order}) {
      std::iota(order->begin(), order->end(), 0u);
      std::shuffle(order->begin(), order->end(), random);
    }
  }

  Stored view() const {
    return {qweight.data(),
            qzeros.data(),
            reinterpret_cast<const std::byte*>(scales.data()),
            row_order.empty() ? nullptr : row_order.data(),
            column_order.empty() ? nullptr : column_order.data(),
            layout.header_words == 2 ? ScaleType::f32 : ScaleType::f16,
            1};
  }
  uint32_t column(uint32_t n) const { return column_order.empty() ? n : column_order[n]; }
  uint32_t code(uint32_t k, uint32_t n) const {
    return abi::gptq_code(qweight.data() + column(n), layout.cols, layout.bits,
                          row_order.empty() ? k : row_order[k]);
  }
  uint32_t zero(uint32_t group, uint32_t n) const {
    const uint64_t words = (uint64_t{layout.cols} * layout.bits + 31) / 32;
    return abi::gptq_code(qzeros.data() + group * words, 1, layout.bits, column(n)) + 1;
  }
};

// One test for all shapes of a code width: thousands of small tests are slow to start.
class ShareTest : public testing::TestWithParam<uint32_t> {
 protected:
  template <class Check>
  void for_each_weight(const Check& check) const {
    const auto run = [&](const Layout& l, Orders orders) {
      if (HasFatalFailure()) return;
      SCOPED_TRACE(std::to_string(l.rows) + " rows, " + std::to_string(l.cols) + " columns, " +
                   std::to_string(l.group_size) + " a group, " + std::to_string(l.header_words) +
                   " header words" + (orders == Orders::shuffled ? ", shuffled" : ""));
      check(StoredWeight(l, orders));
    };
    for (const uint32_t rows : {32, 100})
      for (const uint32_t cols : {1, 33, 40})
        for (const uint32_t group_size : {8, 32})
          for (const uint32_t header_words : {1, 2})
            for (const Orders orders : {Orders::as_stored, Orders::shuffled})
              run({rows, cols, GetParam(), group_size, header_words}, orders);
  }
};

// A lane's code for its column j, row i.
uint32_t code_of(const uint32_t (&words)[kMaxBits], uint32_t bits, uint32_t j, uint32_t i) {
  const uint32_t bit = code_bit(bits, j, i);
  uint64_t window = words[bit / 32];
  if (bit / 32 + 1 < kMaxBits) window |= uint64_t{words[bit / 32 + 1]} << 32;
  return static_cast<uint32_t>(window >> bit % 32) & ((1u << bits) - 1);
}

void lanes_have_the_stored_codes(const StoredWeight& w) {
  const Layout& l = w.layout;
  for (uint32_t tile = 0; tile < column_tiles(l); ++tile)
    for (uint32_t block = 0; block < blocks(l); ++block)
      for (uint32_t lane = 0; lane < kLanes; ++lane) {
        uint32_t words[kMaxBits];
        lane_fragment(w.view(), l, tile, block, lane, words);
        for (uint32_t j = 0; j < kLaneColumns; ++j)
          for (uint32_t i = 0; i < kLaneRows; ++i) {
            const uint32_t n = tile * kTileColumns + column_of(lane, j), row = row_of(lane, i);
            const bool fills = n >= l.cols || row >= rows_of_block(l, block);
            ASSERT_EQ(code_of(words, l.bits, j, i),
                      fills ? 0u : w.code(first_row(l, block) + row, n))
                << tile << " " << block << " " << lane << " " << j << " " << i;
          }
      }
}

void headers_have_scale_and_zero(const StoredWeight& w) {
  const Layout& l = w.layout;
  for (uint32_t group = 0; group < groups(l); ++group)
    for (uint32_t n = 0; n < column_tiles(l) * kTileColumns; ++n) {
      uint32_t words[2];
      column_header(w.view(), l, n, group, words);
      if (n >= l.cols) {
        ASSERT_EQ(words[0] | words[1], 0u);
        continue;
      }
      const uint64_t at = uint64_t{group} * l.cols + w.column(n);
      if (l.header_words == 2) {
        ASSERT_EQ(words[0], w.scales[at]);
        ASSERT_EQ(std::bit_cast<float>(words[1]), static_cast<float>(w.zero(group, n)));
      } else {
        ASSERT_EQ(words[0] & 0xffffu, reinterpret_cast<const uint16_t*>(w.scales.data())[at]);
        ASSERT_EQ(words[0] >> 16, half_of_integer(w.zero(group, n)));
      }
    }
}

// One instruction, m16n8k16: registers to matrices as the PTX manual maps them.
struct Instruction {
  double a[16][16] = {}, b[16][8] = {};

  void left(uint32_t lane, uint32_t i, double first, double second) {
    const uint32_t row = lane / 4 + i % 2 * 8, k = lane % 4 * 2 + i / 2 * 8;
    a[row][k] = first;
    a[row][k + 1] = second;
  }
  void right(uint32_t lane, uint32_t i, double first, double second) {
    const uint32_t column = lane / 4, k = lane % 4 * 2 + i * 8;
    b[k][column] = first;
    b[k + 1][column] = second;
  }
  // Register i of a lane's sums.
  double sum(uint32_t lane, uint32_t i) const {
    const uint32_t row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    double total = 0;
    for (uint32_t k = 0; k < 16; ++k) total += a[row][k] * b[k][column];
    return total;
  }
};

void fragments_make_the_product(const StoredWeight& w) {
  const Layout& l = w.layout;
  const auto x = [&](uint32_t row, uint32_t k) {
    return k < l.rows ? static_cast<double>((k * 7 + row * 13) % 31) - 15 : 0;
  };
  std::vector<double> sums(uint64_t{column_tiles(l)} * kTileColumns * 8);
  for (uint32_t tile = 0; tile < column_tiles(l); ++tile)
    for (uint32_t block = 0; block < blocks(l); ++block)
      for (uint32_t p = 0; p < 2; ++p)
        for (uint32_t step = 0; step < 2; ++step) {
          Instruction instruction;
          for (uint32_t lane = 0; lane < kLanes; ++lane) {
            uint32_t words[kMaxBits];
            lane_fragment(w.view(), l, tile, block, lane, words);
            for (uint32_t i = 0; i < 4; ++i) {
              const uint32_t j = 2 * p + i % 2, pair = left_pair(step, i);
              instruction.left(lane, i, code_of(words, l.bits, j, 2 * pair),
                               code_of(words, l.bits, j, 2 * pair + 1));
            }
            for (uint32_t i = 0; i < 2; ++i) {
              const uint32_t row = row_of(lane, 2 * right_pair(step, i));
              const auto at = [&](uint32_t r) {
                return r < rows_of_block(l, block) ? x(lane / 4, first_row(l, block) + r) : 0;
              };
              instruction.right(lane, i, at(row), at(row + 1));
            }
          }
          for (uint32_t lane = 0; lane < kLanes; ++lane)
            for (uint32_t i = 0; i < 4; ++i) {
              const uint32_t column = lane / 4 + 16 * p + 8 * (i / 2), row = lane % 4 * 2 + i % 2;
              sums[(tile * kTileColumns + column) * 8 + row] += instruction.sum(lane, i);
            }
        }
  for (uint32_t n = 0; n < l.cols; ++n)
    for (uint32_t row = 0; row < 8; ++row) {
      double expected = 0;
      for (uint32_t k = 0; k < l.rows; ++k) expected += x(row, k) * w.code(k, n);
      ASSERT_EQ(sums[n * 8 + row], expected) << n << ", " << row;
    }
}

TEST_P(ShareTest, LanesHaveTheStoredCodes) { for_each_weight(lanes_have_the_stored_codes); }
TEST_P(ShareTest, HeadersHaveScaleAndZero) { for_each_weight(headers_have_scale_and_zero); }
TEST_P(ShareTest, FragmentsMakeTheProduct) { for_each_weight(fragments_make_the_product); }

INSTANTIATE_TEST_SUITE_P(Bits, ShareTest, testing::Values(2, 3, 4, 8));

// f16 of integers, as literals: 1, 15, 16, 17, 256.
TEST(Share, ZerosAsHalves) {
  EXPECT_EQ(half_of_integer(0), 0u);
  EXPECT_EQ(half_of_integer(1), 0x3c00u);
  EXPECT_EQ(half_of_integer(15), 0x4b80u);
  EXPECT_EQ(half_of_integer(16), 0x4c00u);
  EXPECT_EQ(half_of_integer(17), 0x4c40u);
  EXPECT_EQ(half_of_integer(256), 0x5c00u);
}

}  // namespace
}  // namespace ropewalk::cuda::gptq
