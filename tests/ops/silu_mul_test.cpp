#include <cmath>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class SiluMul : public OpTest {
 protected:
  void check(uint32_t rows, uint32_t width, const std::vector<float>& gate,
             const std::vector<float>& up) {
    Case c;
    const uint32_t g = c.activation("gate", {abi::kRows, width});
    const uint32_t u = c.activation("up", {abi::kRows, width});
    const uint32_t y = c.activation("y", {abi::kRows, width});
    c.node(abi::Op::silu_mul, {g, u}, {y}, {});
    std::vector<double> truth;
    for (size_t i = 0; i < gate.size(); ++i) {
      const double x = static_cast<double>(gate[i]);
      truth.push_back(x / (1 + std::exp(-x)) * static_cast<double>(up[i]));
    }
    with_session(c, {rows, rows, 1, 1}, [&](Session& session) {
      session.set(g, gate);
      session.set(u, up);
      session.run(plain_step(rows));
      expect_close(Law::silu, session.get(y), truth);
    });
  }
};

TEST_P(SiluMul, odd_width) {
  for (const uint32_t rows : kRowCounts) {
    Random random(rows);
    std::vector<float> gate = random.values(rows * 77);
    for (float& g : gate) g *= 12;
    check(rows, 77, gate, random.values(rows * 77));
  }
}

// From where exp overflows in f32 to where it vanishes.
TEST_P(SiluMul, extreme_gates) {
  const std::vector<float> gate = {-200, -104, -89, -88, -87, -20, -1,  0,
                                   1,    20,   87,  88,  89,  104, 200, 1000};
  check(1, 16, gate, std::vector<float>(16, 1.0f));
}

// torch 2 silu(gate) * up in float64.
TEST_P(SiluMul, literal) {
  Case c;
  const uint32_t g = c.activation("gate", {abi::kRows, 4});
  const uint32_t u = c.activation("up", {abi::kRows, 4});
  const uint32_t y = c.activation("y", {abi::kRows, 4});
  c.node(abi::Op::silu_mul, {g, u}, {y}, {});
  with_session(c, {1, 1, 1, 1}, [&](Session& session) {
    session.set(g, std::vector<float>{-3, -0.5f, 0.5f, 3});
    session.set(u, std::vector<float>{2, 1, -1, 0.5f});
    session.run(plain_step(1));
    expect_close(Law::silu, session.get(y),
                 std::vector<double>{-0.2845552390654007, -0.1887703343990727, -0.3112296656009273,
                                     1.4288611902336499});
  });
}

RW_ON_EVERY_DEVICE(SiluMul);

}  // namespace
}  // namespace ropewalk::test
