#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Permute : public OpTest {};

TEST_P(Permute, odd_width) {
  constexpr uint32_t kWidth = 77;
  for (const uint32_t rows : kRowCounts) {
    Random random(rows);
    const std::vector<float> input = random.values(rows * kWidth);
    const std::vector<uint32_t> order = random.permutation(kWidth);
    Case c;
    const uint32_t x = c.activation("x", {abi::kRows, kWidth});
    const uint32_t y = c.activation("y", {abi::kRows, kWidth});
    c.node(abi::Op::permute, {x, c.order("order", order)}, {y}, {});
    std::vector<double> truth;
    for (uint32_t r = 0; r < rows; ++r)
      for (const uint32_t j : order) truth.push_back(static_cast<double>(input[r * kWidth + j]));
    with_session(c, {rows, rows, 1, 1}, [&](Session& session) {
      session.set(x, input);
      session.run(plain_step(rows));
      expect_close(Law::copy, session.get(y), truth);
    });
  }
}

RW_ON_EVERY_DEVICE(Permute);

}  // namespace
}  // namespace ropewalk::test
