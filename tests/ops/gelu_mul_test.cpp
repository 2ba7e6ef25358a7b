#include <cmath>
#include <numbers>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class GeluMul : public OpTest {};

OpCase gelu_mul(uint32_t rows, uint32_t width, std::vector<float> gates, std::vector<float> ups) {
  OpCase c(rows);
  const Input gate = c.input({width}, std::move(gates)), up = c.input({width}, std::move(ups));
  const uint32_t y = c.op(abi::Op::gelu_mul, {gate, up}, {width}, {});
  c.expect(ToleranceClass::silu, y, [&](uint32_t r, uint32_t i) {
    const double g = gate(r, i);
    const double inner = std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g);
    return 0.5 * g * (1 + std::tanh(inner)) * up(r, i);
  });
  return c;
}

TEST_P(GeluMul, odd_width) {
  run_row_counts([](uint32_t rows) {
    Random random(rows);
    std::vector<float> gate = random.values(rows * 77);
    for (float& g : gate) g *= 6;
    return gelu_mul(rows, 77, gate, random.values(rows * 77));
  });
}

// From where exp overflows in f32 to where it vanishes.
TEST_P(GeluMul, extreme_gates) {
  const std::vector<float> gate = {-1e4f, -200, -40, -12, -11, -6,  -1,   0,
                                   1,     6,    11,  12,  40,  200, 1e3f, 1e4f};
  run(gelu_mul(1, 16, gate, std::vector<float>(16, 1.0f)));
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
