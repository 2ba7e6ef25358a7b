#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Select : public OpTest {};

TEST_P(Select, some_rows_of_many) {
  constexpr uint32_t kWidth = 77;
  for (const uint32_t rows : kRowCounts) {
    Random random(rows);
    const std::vector<float> input = random.values(rows * kWidth);
    StepData step = plain_step(rows);
    step.wanted = {rows / 3, rows - 1};
    if (rows == 1) step.wanted = {0};
    Case c;
    const uint32_t x = c.activation("x", {abi::kRows, kWidth});
    const uint32_t y = c.activation("y", {abi::kWanted, kWidth});
    c.node(abi::Op::select, {x}, {y}, {});
    std::vector<double> truth;
    for (const uint32_t w : step.wanted)
      for (uint32_t i = 0; i < kWidth; ++i)
        truth.push_back(static_cast<double>(input[w * kWidth + i]));
    with_session(c, {rows, 2, 1, 1}, [&](Session& session) {
      session.set(x, input);
      session.run(step);
      expect_close(Law::copy, session.get(y), truth);
    });
  }
}

// A prompt chunk in the middle: no logits are wanted at all.
TEST_P(Select, none) {
  Case c;
  const uint32_t x = c.activation("x", {abi::kRows, 8});
  const uint32_t y = c.activation("y", {abi::kWanted, 8});
  c.node(abi::Op::select, {x}, {y}, {});
  with_session(c, {4, 4, 1, 1}, [&](Session& session) {
    StepData step = plain_step(4);
    step.wanted.clear();
    session.set(x, Random(1).values(32));
    session.run(step);
    EXPECT_TRUE(session.get(y).empty());
  });
}

RW_ON_EVERY_DEVICE(Select);

}  // namespace
}  // namespace ropewalk::test
