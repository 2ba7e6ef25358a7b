#include <cstring>
#include <numeric>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

constexpr uint32_t kVocab = 51, kEmbedWidth = 75;

class Embed : public OpTest {
 protected:
  void check(abi::DType dtype) {
    run_row_counts([&](uint32_t rows) {
      Random random(rows);
      std::vector<int32_t> tokens(rows);
      for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(kVocab));
      tokens.back() = kVocab - 1;
      return embed(random_dense(dtype, abi::WeightUse::embed, kEmbedWidth, kVocab, random), tokens,
                   1);
    });
  }

  static OpCase embed(const StoredWeight& table, const std::vector<int32_t>& tokens, float scale) {
    OpCase c(static_cast<uint32_t>(tokens.size()));
    c.step.token = tokens;
    const uint32_t y = c.op(abi::Op::embed, {c.graph.weight("table", table)}, {table.shape.rows},
                            abi::EmbedParams{scale});
    c.expect(scale == 1 ? ToleranceClass::copy : ToleranceClass::add, y,
             [&](uint32_t r, uint32_t i) {
               return table.at(i, static_cast<uint32_t>(tokens[r])) * static_cast<double>(scale);
             });
    return c;
  }
};

TEST_P(Embed, packed_in_parts) {
  Random random(2);
  StoredWeight table =
      random_dense(abi::DType::f16, abi::WeightUse::embed, kEmbedWidth, 600, random);
  table.part_columns = abi::kPartColumns;
  run(embed(table, {0, 255, 256, 599}, 1));
}

TEST_P(Embed, scaled) {
  for (const abi::DType dtype : {abi::DType::f32, abi::DType::f16, abi::DType::bf16}) {
    Random random(3);
    run(embed(random_dense(dtype, abi::WeightUse::embed, kEmbedWidth, kVocab, random), {50, 0, 7},
              12));
  }
}

TEST_P(Embed, f32) { check(abi::DType::f32); }
TEST_P(Embed, f16) { check(abi::DType::f16); }
TEST_P(Embed, bf16) { check(abi::DType::bf16); }

// All 63488 finite numbers of f16, subnormals and both zeros among them, and as many of bf16.
TEST_P(Embed, every_finite_half) {
  if (device().info().activation == abi::DType::f16)
    GTEST_SKIP() << "activations are f16: the numbers would be copied";
  constexpr uint32_t kColumns = 62, kRows = 1024, kAtOnce = 512;  // max rows of a step
  for (const abi::DType dtype : {abi::DType::f16, abi::DType::bf16}) {
    Random random(1);
    StoredWeight table = random_dense(dtype, abi::WeightUse::embed, kColumns, kRows, random);
    for (uint32_t i = 0; i < kColumns * kRows; ++i) {
      const auto half = static_cast<uint16_t>(i % 2 ? i / 2 : 0x8000 | i / 2);
      std::memcpy(table.dense.data() + 2 * i, &half, 2);
    }
    for (uint32_t first = 0; first < kRows; first += kAtOnce) {
      std::vector<int32_t> tokens(kAtOnce);
      std::iota(tokens.begin(), tokens.end(), static_cast<int32_t>(first));
      const OpCase c = embed(table, tokens, 1);
      run_then(c, [&](Session& session) {
        const std::vector<float> found = session.get(c.expected[0].tensor);
        for (uint32_t i = 0; i < kColumns * kAtOnce; ++i)
          ASSERT_EQ(found[i], static_cast<float>(c.expected[0].truth[i])) << first << ", " << i;
      });
    }
  }
}

RW_ON_EVERY_DEVICE(Embed);

}  // namespace
}  // namespace ropewalk::test
