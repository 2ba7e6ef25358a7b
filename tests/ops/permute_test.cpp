#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Permute : public OpTest {};

TEST_P(Permute, odd_width) {
  run_row_counts([](uint32_t rows) {
    OpCase c(rows);
    const Input x = c.random_input({77});
    const std::vector<uint32_t> order = c.random.permutation(77);
    const uint32_t y = c.op(abi::Op::permute, {x, c.graph.order("order", order)}, {77}, {});
    c.expect(ToleranceClass::copy, y, [&](uint32_t r, uint32_t i) { return x(r, order[i]); });
    return c;
  });
}

RW_ON_EVERY_DEVICE(Permute);

}  // namespace
}  // namespace ropewalk::test
