#include <cstring>
#include <numeric>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Embed : public OpTest {
 protected:
  void check_tokens(const StoredWeight& table, const StepData& step) {
    const uint32_t width = table.shape.rows, rows = static_cast<uint32_t>(step.token.size());
    Case c;
    const uint32_t y = c.activation("y", {abi::kRows, width});
    c.node(abi::Op::embed, {c.weight("table", table)}, {y}, {});
    std::vector<double> truth;
    for (const int32_t token : step.token)
      for (uint32_t i = 0; i < width; ++i)
        truth.push_back(table.at(i, static_cast<uint32_t>(token)));
    with_session(c, {rows, rows, 1, 1}, [&](Session& session) {
      session.run(step);
      expect_close(Law::copy, session.get(y), truth);
    });
  }

  void check(abi::DType dtype) {
    constexpr uint32_t kVocab = 51, kWidth = 75;
    for (const uint32_t rows : kRowCounts) {
      Random random(rows);
      const StoredWeight table = random_dense(dtype, abi::WeightUse::embed, kWidth, kVocab, random);
      StepData step = plain_step(rows);
      for (int32_t& token : step.token) token = static_cast<int32_t>(random.below(kVocab));
      step.token.back() = kVocab - 1;
      check_tokens(table, step);
    }
  }
};

TEST_P(Embed, packed_in_parts) {
  constexpr uint32_t kVocab = 600, kWidth = 75;
  Random random(2);
  StoredWeight table = random_dense(abi::DType::f16, abi::WeightUse::embed, kWidth, kVocab, random);
  table.part_columns = abi::kPartColumns;
  StepData step = plain_step(4);
  step.token = {0, 255, 256, kVocab - 1};
  check_tokens(table, step);
}

TEST_P(Embed, f32) { check(abi::DType::f32); }
TEST_P(Embed, f16) { check(abi::DType::f16); }
TEST_P(Embed, bf16) { check(abi::DType::bf16); }

// All 63488 finite numbers of f16, subnormals and both zeros among them, and as many of bf16.
TEST_P(Embed, every_finite_half) {
  if (device().info().activation == abi::DType::f16)
    GTEST_SKIP() << "activations are f16: the numbers would be copied";
  constexpr uint32_t kWidth = 62, kVocab = 1024, kAtOnce = 512;  // no device is asked for more
  for (const abi::DType dtype : {abi::DType::f16, abi::DType::bf16}) {
    Random random(1);
    StoredWeight table = random_dense(dtype, abi::WeightUse::embed, kWidth, kVocab, random);
    for (uint32_t i = 0; i < kWidth * kVocab; ++i) {
      const auto half = static_cast<uint16_t>(i % 2 ? i / 2 : 0x8000 | i / 2);
      std::memcpy(table.dense.data() + 2 * i, &half, 2);
    }
    Case c;
    const uint32_t y = c.activation("y", {abi::kRows, kWidth});
    c.node(abi::Op::embed, {c.weight("table", table)}, {y}, {});
    with_session(c, {kAtOnce, kAtOnce, 1, 1}, [&](Session& session) {
      for (uint32_t first = 0; first < kVocab; first += kAtOnce) {
        StepData step = plain_step(kAtOnce);
        std::iota(step.token.begin(), step.token.end(), static_cast<int32_t>(first));
        session.run(step);
        const std::vector<float> found = session.get(y);
        for (uint32_t i = 0; i < kWidth * kAtOnce; ++i)
          ASSERT_EQ(found[i], static_cast<float>(table.at(i % kWidth, first + i / kWidth)))
              << first << ", " << i;
      }
    });
  }
}

RW_ON_EVERY_DEVICE(Embed);

}  // namespace
}  // namespace ropewalk::test
