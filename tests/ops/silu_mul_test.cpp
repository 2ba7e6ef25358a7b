#include <cmath>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class SiluMul : public OpTest {};

OpCase silu_mul(uint32_t rows, uint32_t width, std::vector<float> gates, std::vector<float> ups) {
  OpCase c(rows);
  const Input gate = c.input({width}, std::move(gates)), up = c.input({width}, std::move(ups));
  const uint32_t y = c.op(abi::Op::silu_mul, {gate, up}, {width}, {});
  c.expect(ToleranceClass::silu, y, [&](uint32_t r, uint32_t i) {
    return gate(r, i) / (1 + std::exp(-gate(r, i))) * up(r, i);
  });
  return c;
}

TEST_P(SiluMul, odd_width) {
  run_row_counts([](uint32_t rows) {
    Random random(rows);
    std::vector<float> gate = random.values(rows * 77);
    for (float& g : gate) g *= 12;
    return silu_mul(rows, 77, gate, random.values(rows * 77));
  });
}

// From where exp overflows in f32 to where it vanishes.
TEST_P(SiluMul, extreme_gates) {
  const std::vector<float> gate = {-200, -104, -89, -88, -87, -20, -1,  0,
                                   1,    20,   87,  88,  89,  104, 200, 1000};
  run(silu_mul(1, 16, gate, std::vector<float>(16, 1.0f)));
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
