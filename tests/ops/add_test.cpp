#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Add : public OpTest {};

OpCase add(uint32_t rows, float scale) {
  OpCase c(rows);
  const Input a = c.random_input({77}), b = c.random_input({77});
  const uint32_t y = c.op(abi::Op::add, {a, b}, {77}, abi::AddParams{scale});
  c.expect(ToleranceClass::add, y,
           [&](uint32_t r, uint32_t i) { return a(r, i) + b(r, i) * static_cast<double>(scale); });
  return c;
}

TEST_P(Add, odd_width) {
  run_row_counts([](uint32_t rows) { return add(rows, 1); });
}
TEST_P(Add, scaled) {
  run_row_counts([](uint32_t rows) { return add(rows, 0.22f); });
}

RW_ON_EVERY_DEVICE(Add);

}  // namespace
}  // namespace ropewalk::test
