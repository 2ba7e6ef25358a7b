#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Select : public OpTest {};

TEST_P(Select, some_rows_of_many) {
  run_row_counts([](uint32_t rows) {
    OpCase c(rows);
    c.step.wanted = {rows / 3, rows - 1};
    if (rows == 1) c.step.wanted = {0};
    c.shape.wanted = 2;
    const Input x = c.random_input({77});
    const uint32_t y = c.graph.activation("y", {abi::kWanted, 77});
    c.graph.node(abi::Op::select, {x}, {y}, {});
    c.expect(ToleranceClass::copy, y,
             [&](uint32_t w, uint32_t i) { return x(c.step.wanted[w], i); });
    return c;
  });
}

// A prompt chunk in the middle: no logits are wanted at all.
TEST_P(Select, none) {
  OpCase c(4);
  c.step.wanted.clear();
  const Input x = c.random_input({8});
  const uint32_t y = c.graph.activation("y", {abi::kWanted, 8});
  c.graph.node(abi::Op::select, {x}, {y}, {});
  c.expect_values(ToleranceClass::copy, y, {});
  run(c);
}

RW_ON_EVERY_DEVICE(Select);

}  // namespace
}  // namespace ropewalk::test
