#include "tests/ops/op_test.h"

namespace ropewalk::tests {
namespace {

class Embed : public OpTest {
 protected:
  void check(abi::DType dtype) {
    constexpr uint32_t kVocab = 51, kWidth = 75;
    for (const uint32_t rows : kRowCounts) {
      Random random(rows);
      const StoredWeight table = random_dense(dtype, abi::WeightUse::embed, kWidth, kVocab, random);
      StepData step = plain_step(rows);
      for (int32_t& token : step.token) token = static_cast<int32_t>(random.below(kVocab));
      step.token.back() = kVocab - 1;
      Case c;
      const uint32_t y = c.activation("y", {abi::kRows, kWidth});
      c.node(abi::Op::embed, {c.weight("table", table)}, {y}, 0, kRotatedKeys);
      std::vector<double> truth;
      for (const int32_t token : step.token)
        for (uint32_t i = 0; i < kWidth; ++i)
          truth.push_back(table.at(i, static_cast<uint32_t>(token)));
      with_session(c, {rows, rows, 1, 1}, [&](Session& session) {
        session.run(step);
        expect_close(Law::copy, session.get(y), truth);
      });
    }
  }
};

TEST_P(Embed, f32) { check(abi::DType::f32); }
TEST_P(Embed, f16) { check(abi::DType::f16); }
TEST_P(Embed, bf16) { check(abi::DType::bf16); }

RW_ON_EVERY_DEVICE(Embed);

}  // namespace
}  // namespace ropewalk::tests
