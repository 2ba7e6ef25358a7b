#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Add : public OpTest {};

TEST_P(Add, odd_width) {
  run_row_counts([](uint32_t rows) {
    OpCase c(rows);
    const Input a = c.random_input({77}), b = c.random_input({77});
    const uint32_t y = c.op(abi::Op::add, {a, b}, {77}, {});
    c.expect(ToleranceClass::add, y, [&](uint32_t r, uint32_t i) { return a(r, i) + b(r, i); });
    return c;
  });
}

RW_ON_EVERY_DEVICE(Add);

}  // namespace
}  // namespace ropewalk::test
