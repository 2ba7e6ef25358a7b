#include <cmath>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class RmsNorm : public OpTest {
 protected:
  void check(uint32_t width, bool ordered) {
    for (const uint32_t rows : kRowCounts) {
      SCOPED_TRACE(std::to_string(rows) + " rows");
      Random random(rows + width);
      const std::vector<float> weight = random.values(width);
      const std::vector<uint32_t> order = random.permutation(width);
      const std::vector<float> input = random.values(uint64_t{rows} * width);
      constexpr float kEpsilon = 1e-5f;

      Case c;
      const uint32_t x = c.activation("x", {abi::kRows, width});
      const uint32_t y = c.activation("y", {abi::kRows, width});
      std::vector<uint32_t> in = {x, c.vector("weight", weight)};
      if (ordered) in.push_back(c.order("order", order));
      c.node(abi::Op::rms_norm, in, {y}, abi::NormParams{kEpsilon});

      std::vector<double> truth;
      for (uint32_t r = 0; r < rows; ++r) {
        double mean = 0;
        for (uint32_t i = 0; i < width; ++i) {
          const double v = static_cast<double>(input[r * width + i]);
          mean += v * v / width;
        }
        for (uint32_t i = 0; i < width; ++i) {
          const uint32_t j = ordered ? order[i] : i;
          truth.push_back(static_cast<double>(input[r * width + j]) /
                          std::sqrt(mean + static_cast<double>(kEpsilon)) *
                          static_cast<double>(weight[j]));
        }
      }
      with_session(c, {rows, rows, 1, 1}, [&](Session& session) {
        session.set(x, input);
        session.run(plain_step(rows));
        expect_close(Law::norm, session.get(y), truth);
      });
    }
  }
};

TEST_P(RmsNorm, width_192) { check(192, false); }
TEST_P(RmsNorm, odd_width) { check(75, false); }
TEST_P(RmsNorm, ordered) { check(192, true); }

// transformers 4.57 LlamaRMSNorm(4, eps=1e-6) with weight (1, 2, 3, -0.5) of x = (1, -2, 3, 4).
TEST_P(RmsNorm, literal) {
  Case c;
  const uint32_t x = c.activation("x", {abi::kRows, 4});
  const uint32_t y = c.activation("y", {abi::kRows, 4});
  c.node(abi::Op::rms_norm, {x, c.vector("weight", {1, 2, 3, -0.5f})}, {y}, abi::NormParams{1e-6f});
  with_session(c, {1, 1, 1, 1}, [&](Session& session) {
    session.set(x, std::vector<float>{1, -2, 3, 4});
    session.run(plain_step(1));
    expect_close(Law::norm, session.get(y),
                 std::vector<double>{0.3651483654975891, -1.4605934619903564, 3.2863354682922363,
                                     -0.7302967309951782});
  });
}

RW_ON_EVERY_DEVICE(RmsNorm);

}  // namespace
}  // namespace ropewalk::test
