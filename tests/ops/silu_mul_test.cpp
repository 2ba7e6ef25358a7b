#include <cmath>

#include "tests/ops/gated_case.h"

namespace ropewalk::test {
namespace {

class SiluMul : public OpTest {};

double silu(double x) { return x / (1 + std::exp(-x)); }

TEST_P(SiluMul, odd_width) {
  run_row_counts(
      [](uint32_t rows) { return random_gated_case(abi::Op::silu_mul, rows, 12, silu); });
}

// From where exp overflows in f32 to where it vanishes.
TEST_P(SiluMul, extreme_gates) {
  const std::vector<float> gate = {-200, -104, -89, -88, -87, -20, -1,  0,
                                   1,    20,   87,  88,  89,  104, 200, 1000};
  run(gated_case(abi::Op::silu_mul, 1, gate, std::vector<float>(16, 1.0f), silu));
}

// torch 2 silu(gate) * up in float64.
TEST_P(SiluMul, literal) {
  OpCase c(1);
  const Input gate = c.input({4}, {-3, -0.5f, 0.5f, 3}), up = c.input({4}, {2, 1, -1, 0.5f});
  c.expect_values(
      ToleranceClass::silu, c.op(abi::Op::silu_mul, {gate, up}, {4}, {}),
      {-0.2845552390654007, -0.1887703343990727, -0.3112296656009273, 1.4288611902336499});
  run(c);
}

RW_ON_EVERY_DEVICE(SiluMul);

}  // namespace
}  // namespace ropewalk::test
