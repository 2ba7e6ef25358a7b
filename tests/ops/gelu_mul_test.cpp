#include <cmath>
#include <numbers>

#include "tests/ops/gated_case.h"

namespace ropewalk::test {
namespace {

class GeluMul : public OpTest {};

// The approximation by tanh.
double gelu(double x) {
  const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

TEST_P(GeluMul, odd_width) {
  run_row_counts([](uint32_t rows) { return random_gated_case(abi::Op::gelu_mul, rows, 6, gelu); });
}

// From where exp overflows in f32 to where it vanishes.
TEST_P(GeluMul, extreme_gates) {
  const std::vector<float> gate = {-1e4f, -200, -40, -12, -11, -6,  -1,   0,
                                   1,     6,    11,  12,  40,  200, 1e3f, 1e4f};
  run(gated_case(abi::Op::gelu_mul, 1, gate, std::vector<float>(16, 1.0f), gelu));
}

// torch 2 gelu(gate, approximate="tanh") * up in float64.
TEST_P(GeluMul, literal) {
  OpCase c(1);
  const Input gate = c.input({4}, {-3, -0.5f, 0.5f, 3}), up = c.input({4}, {2, 1, -1, 0.5f});
  c.expect_values(
      ToleranceClass::silu, c.op(abi::Op::gelu_mul, {gate, up}, {4}, {}),
      {-0.007274784163545989, -0.15428599017485606, -0.34571400982514394, 1.4981813039591134});
  run(c);
}

RW_ON_EVERY_DEVICE(GeluMul);

}  // namespace
}  // namespace ropewalk::test
