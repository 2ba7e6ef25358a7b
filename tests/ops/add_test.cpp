#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Add : public OpTest {};

TEST_P(Add, odd_width) {
  constexpr uint32_t kWidth = 77;
  for (const uint32_t rows : kRowCounts) {
    Random random(rows);
    const std::vector<float> left = random.values(rows * kWidth),
                             right = random.values(rows * kWidth);
    Case c;
    const uint32_t a = c.activation("a", {abi::kRows, kWidth});
    const uint32_t b = c.activation("b", {abi::kRows, kWidth});
    const uint32_t y = c.activation("y", {abi::kRows, kWidth});
    c.node(abi::Op::add, {a, b}, {y}, {});
    std::vector<double> truth;
    for (size_t i = 0; i < left.size(); ++i)
      truth.push_back(static_cast<double>(left[i]) + static_cast<double>(right[i]));
    with_session(c, {rows, rows, 1, 1}, [&](Session& session) {
      session.set(a, left);
      session.set(b, right);
      session.run(plain_step(rows));
      expect_close(Law::add, session.get(y), truth);
    });
  }
}

RW_ON_EVERY_DEVICE(Add);

}  // namespace
}  // namespace ropewalk::test
