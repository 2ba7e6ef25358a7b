// The fragments of attention's tensor cores and the pages of the cache, on the host: whole products
// computed from what each lane would have, by the PTX manual's drawings of mma.m16n8k16 and
// ldmatrix.
#include "backends/cuda/ops/prompts/tile_maps.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <utility>
#include <vector>

#include "backends/cuda/ops/page_layout.h"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kLanes = 32, kKeys = 64, kDim = 64;

using Pair = std::array<int64_t, 2>;
template <uint32_t kRegisters>
using Fragment = std::array<std::array<Pair, kRegisters>, kLanes>;
using Sums = std::array<std::array<int64_t, 4>, kLanes>;

// a0 (g, 2t..) a1 (g+8, 2t..) a2 (g, 2t+8..) a3 (g+8, 2t+8..); b0 (2t.., g) b1 (2t+8.., g);
// c0, c1 (g, 2t..) c2, c3 (g+8, 2t..), with g = lane / 4 and t = lane % 4.
void multiply_add(Sums& sums, const Fragment<4>& a, const Fragment<2>& b) {
  for (uint32_t row = 0; row < 16; ++row)
    for (uint32_t column = 0; column < 8; ++column)
      for (uint32_t k = 0; k < 16; ++k)
        sums[row % 8 * 4 + column / 2][row / 8 * 2 + column % 2] +=
            a[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2][k % 2] *
            b[column * 4 + k % 8 / 2][k / 8][k % 2];
}

// ldmatrix.x4: lane 8m + r passes row r of matrix m; register m is (row g, columns 2t, 2t+1), or
// transposed (rows 2t, 2t+1, column g). `at(lane, i)` is element i of what the lane passes.
template <class At>
Fragment<4> load_matrices(const At& at, bool transposed) {
  Fragment<4> loaded;
  for (uint32_t lane = 0; lane < kLanes; ++lane)
    for (uint32_t m = 0; m < 4; ++m)
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t g = lane / 4, pair = lane % 4 * 2 + i;
        loaded[lane][m][i] = transposed ? at(m * 8 + pair, g) : at(m * 8 + g, pair);
      }
  return loaded;
}

Fragment<2> registers(const Fragment<4>& from, uint32_t first) {
  Fragment<2> two;
  for (uint32_t lane = 0; lane < kLanes; ++lane)
    two[lane] = {from[lane][first], from[lane][first + 1]};
  return two;
}

int64_t query(uint32_t row, uint32_t dim) { return 1 + row * 7 + dim * dim % 31; }
int64_t key(uint32_t key, uint32_t dim) { return 2 + key * 5 + dim * 3 % 17; }
int64_t value(uint32_t key, uint32_t dim) { return 3 + key * key % 13 + dim * 11; }

TEST(TileMaps, ScoresAreQueriesTimesKeys) {
  for (uint32_t n = 0; n < kKeys / 8; ++n) {
    Sums scores = {};
    for (uint32_t k = 0; k < kDim / 32; ++k) {
      const Fragment<4> keys = load_matrices(
          [&](uint32_t lane, uint32_t i) { return key(key_row(lane, n), key_dim(lane, k) + i); },
          false);
      for (uint32_t half = 0; half < 2; ++half) {
        Fragment<4> queries;
        for (uint32_t lane = 0; lane < kLanes; ++lane)
          for (uint32_t i = 0; i < 4; ++i)
            for (uint32_t e = 0; e < 2; ++e)
              queries[lane][i][e] = query(query_row(lane, i), query_dim(lane, 2 * k + half, i) + e);
        multiply_add(scores, queries, registers(keys, 2 * half));
      }
    }
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      for (uint32_t i = 0; i < 4; ++i) {
        int64_t truth = 0;
        for (uint32_t d = 0; d < kDim; ++d)
          truth += query(score_row(lane, i), d) * key(score_key(lane, n, i), d);
        EXPECT_EQ(scores[lane][i], truth) << "lane " << lane << ", score " << i;
      }
  }
}

// Weights as the scores' lanes have them; here a function of row and key.
TEST(TileMaps, OutputsAreWeightsTimesValues) {
  for (uint32_t n = 0; n < kDim / 16; ++n) {
    Sums outputs[2] = {};
    for (uint32_t k = 0; k < kKeys / 16; ++k) {
      const Fragment<4> values = load_matrices(
          [&](uint32_t lane, uint32_t i) {
            return value(value_row(lane, k), value_dim(lane, n) + i);
          },
          true);
      Fragment<4> weights;
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        for (uint32_t i = 0; i < 4; ++i)
          for (uint32_t e = 0; e < 2; ++e) {
            const uint32_t score = weight_pair(i) + e;
            weights[lane][i][e] =
                query(score_row(lane, score), score_key(lane, weight_tile(k, i), score));
          }
      for (uint32_t half = 0; half < 2; ++half)
        multiply_add(outputs[half], weights, registers(values, 2 * half));
    }
    for (uint32_t half = 0; half < 2; ++half)
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        for (uint32_t i = 0; i < 4; ++i) {
          int64_t truth = 0;
          for (uint32_t j = 0; j < kKeys; ++j)
            truth +=
                query(score_row(lane, i), j) * value(j, output_dim(lane, 2 * n + half) + i % 2);
          EXPECT_EQ(outputs[half][lane][i], truth) << "lane " << lane << ", sum " << i;
        }
  }
}

// Rows of a tile are kDim + 8 elements apart: the 8 rows of a matrix, 16 bytes each, meet no bank
// twice.
TEST(TileMaps, NoBankTwice) {
  for (const uint32_t dim : {64u, 128u})
    for (uint32_t matrix = 0; matrix < 4; ++matrix) {
      std::set<uint32_t> key_banks, value_banks;
      for (uint32_t lane = matrix * 8; lane < matrix * 8 + 8; ++lane) {
        key_banks.insert((key_row(lane, 0) * (dim + 8) + key_dim(lane, 0)) / 2 % 32);
        value_banks.insert((value_row(lane, 0) * (dim + 8) + value_dim(lane, 0)) / 2 % 32);
      }
      EXPECT_EQ(key_banks.size(), 8u);
      EXPECT_EQ(value_banks.size(), 8u);
    }
}

// Entries and scales cover a page of core/abi's size once: (kv_heads, tokens, head_dim), then
// (kv_heads, tokens) scales.
TEST(Pages, EveryByteHasOneOwner) {
  for (const uint32_t element_bytes : {1u, 2u}) {
    const PageLayout l{3, 40, element_bytes, 6};
    const abi::DType type = element_bytes == 1 ? abi::DType::i8 : abi::DType::f16;
    ASSERT_EQ(page_bytes(l), (abi::KvPage{type, 64, l.kv_heads, l.head_dim}.bytes()));
    std::vector<int> owned(page_bytes(l));
    const auto own = [&](uint64_t begin, uint32_t bytes) {
      ASSERT_LE(begin + bytes, owned.size());
      for (uint32_t i = 0; i < bytes; ++i) ++owned[begin + i];
    };
    for (uint32_t head = 0; head < l.kv_heads; ++head)
      for (uint32_t token = 0; token < 64; ++token) {
        own(elements_at(l, head, token), l.head_dim * element_bytes);
        if (element_bytes == 1) own(scale_at(l, head, token), kScaleBytes);
      }
    EXPECT_EQ(std::set<int>(owned.begin(), owned.end()), (std::set<int>{1}));
  }
  EXPECT_EQ(elements_at({40, 128, 2, 8}, 1, 257), (256u + 1) * 256);
  EXPECT_EQ(elements_at({40, 128, 2, 5}, 1, 257), (32u + 1) * 256);
  EXPECT_EQ(scale_at({40, 128, 1, 8}, 1, 257), 40u * 256 * 128 + (256 + 1) * 2);
  EXPECT_EQ(page_bytes({40, 128, 1, 8}), 40u * 256 * 130);
}

// A row may be any of the step's rows of its sequence, so up to `rows` of the last keys are new.
TEST(Pages, KeysOfTheStepAreNotThereBeforeIt) {
  for (uint32_t rows = 1; rows <= 5; ++rows)
    for (uint32_t keys = 1; keys <= 12; ++keys)
      for (uint32_t end = 1; end <= keys; ++end) {
        bool written = false;  // one of the keys below `end`, where the row has `before` in front
        for (uint32_t before = 0; before < rows && before < keys; ++before)
          written = written || end > keys - 1 - before;
        EXPECT_EQ(known_before_step(end, keys, rows), !written)
            << rows << " " << keys << " " << end;
      }
}

}  // namespace
}  // namespace ropewalk::cuda
