#include <cmath>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Rope : public OpTest {
 protected:
  // Two sequences with tables of their own, at positions far from zero.
  void check(uint32_t heads, uint32_t dim) {
    const uint32_t width = heads * dim, half = dim / 2;
    constexpr float kScale = 1.25f;
    for (const uint32_t rows : kRowCounts) {
      SCOPED_TRACE(std::to_string(rows) + " rows");
      Random random(rows + dim);
      StepData step = plain_step(rows);
      for (uint32_t r = 0; r < rows; ++r) {
        step.sequence[r] = r >= rows / 2;
        step.position[r] = 3000 + r;
      }
      step.length = {3000 + rows, 3000 + rows};
      for (uint32_t i = 0; i < 2 * half; ++i)
        step.inv_freq.push_back(static_cast<float>(std::pow(10000.0, -(i % half * 2.0) / dim)) /
                                (i < half ? 1.0f : 2.0f));
      step.page.assign(2 * 16, 0);

      Case c;
      const uint32_t x = c.activation("x", {abi::kRows, heads, dim});
      const uint32_t y = c.activation("y", {abi::kRows, heads, dim});
      c.node(abi::Op::rope, {x}, {y}, abi::RopeParams{kScale});
      const std::vector<float> input = random.values(uint64_t{rows} * width);

      std::vector<double> truth(input.size());
      for (uint32_t r = 0; r < rows; ++r)
        for (uint32_t h = 0; h < heads; ++h)
          for (uint32_t i = 0; i < half; ++i) {
            const float angle = static_cast<float>(step.position[r]) *
                                step.inv_freq[step.sequence[r] * half + i];  // in f32 by the law
            const double c1 = std::cos(static_cast<double>(angle)) * static_cast<double>(kScale);
            const double s1 = std::sin(static_cast<double>(angle)) * static_cast<double>(kScale);
            const uint64_t low = r * width + h * dim + i, high = low + half;
            const double a = static_cast<double>(input[low]), b = static_cast<double>(input[high]);
            truth[low] = a * c1 - b * s1;
            truth[high] = b * c1 + a * s1;
          }
      with_session(c, {rows, rows, 2, 16}, [&](Session& session) {
        session.set(x, input);
        session.run(step);
        expect_close(Law::rope, session.get(y), truth);
      });
    }
  }
};

TEST_P(Rope, dim_32) { check(3, 32); }
TEST_P(Rope, dim_64) { check(3, 64); }
TEST_P(Rope, dim_80) { check(2, 80); }
TEST_P(Rope, dim_96) { check(1, 96); }
TEST_P(Rope, dim_128) { check(2, 128); }

// transformers 4.57 apply_rotary_pos_emb: head_dim 4, theta 10000, positions 5 and 700.
TEST_P(Rope, literal) {
  Case c;
  const uint32_t x = c.activation("x", {abi::kRows, 1, 4});
  const uint32_t y = c.activation("y", {abi::kRows, 1, 4});
  c.node(abi::Op::rope, {x}, {y}, abi::RopeParams{});
  StepData step = plain_step(2);
  step.position = {5, 700};
  step.length = {701};
  step.page.assign(3, 0);
  step.inv_freq = {1.0f, 0.01f};
  with_session(c, {2, 2, 1, 3}, [&](Session& session) {
    session.set(x, std::vector<float>{1, 2, 3, 4, -1, 0.5f, 0.25f, 2});
    session.run(step);
    expect_close(Law::rope, session.get(y),
                 std::vector<double>{3.1604350094526414, 1.7975838437072191, -0.10793771827345966,
                                     4.094959380121222, 0.7031116950398986, -0.9370220702659258,
                                     -0.7537466048335613, 1.8362978080460037});
  });
}

RW_ON_EVERY_DEVICE(Rope);

}  // namespace
}  // namespace ropewalk::test
