#include <cmath>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

constexpr float kScale = 1.25f;

class Rope : public OpTest {};

// Two sequences with tables of their own, at positions far from zero. Of each sequence's tables the
// last one is used, `table`. The last `copied` pairs of a head have the frequency 0.
OpCase rope(uint32_t rows, uint32_t heads, uint32_t dim, uint32_t copied, uint32_t table = 0) {
  const uint32_t half = dim / 2;
  OpCase c(rows);
  StepData& step = c.step;
  for (uint32_t r = 0; r < rows; ++r) {
    step.sequence[r] = r >= rows / 2;
    step.position[r] = 3000 + r;
  }
  step.length = {3000 + rows, 3000 + rows};
  const uint32_t tables = table + 1;
  for (uint32_t i = 0; i < 2 * tables * half; ++i)
    step.inv_freq.push_back(static_cast<float>(std::pow(10000.0, -(i % half * 2.0) / dim)) /
                            static_cast<float>(i / half + 1));
  for (uint32_t i = 0; i < 2 * tables * half; ++i)
    if (i % half >= half - copied) step.inv_freq[i] = 0;
  step.page.assign(2 * 16, 0);
  c.shape = {rows, rows, 2, 16};

  const Input x = c.random_input({heads, dim});
  const uint32_t y = c.op(abi::Op::rope, {x}, {heads, dim}, abi::RopeParams{kScale, table});
  c.expect(ToleranceClass::rope, y, [&](uint32_t r, uint32_t i) {
    const uint32_t pair = i % half;
    if (pair >= half - copied) return x(r, i);
    const float angle = static_cast<float>(step.position[r]) *
                        // in f32 by the law
                        step.inv_freq[(step.sequence[r] * tables + table) * half + pair];
    const double cosine = std::cos(static_cast<double>(angle)) * static_cast<double>(kScale);
    const double sine = std::sin(static_cast<double>(angle)) * static_cast<double>(kScale);
    const bool low = i % dim < half;
    return low ? x(r, i) * cosine - x(r, i + half) * sine
               : x(r, i) * cosine + x(r, i - half) * sine;
  });
  return c;
}

TEST_P(Rope, dim_32) {
  run_row_counts([](uint32_t rows) { return rope(rows, 3, 32, 0); });
}
TEST_P(Rope, dim_64) {
  run_row_counts([](uint32_t rows) { return rope(rows, 3, 64, 0); });
}
TEST_P(Rope, dim_80) {
  run_row_counts([](uint32_t rows) { return rope(rows, 2, 80, 0); });
}
TEST_P(Rope, dim_96) {
  run_row_counts([](uint32_t rows) { return rope(rows, 1, 96, 0); });
}
TEST_P(Rope, dim_128) {
  run_row_counts([](uint32_t rows) { return rope(rows, 2, 128, 0); });
}

TEST_P(Rope, of_a_part_of_the_head) {
  run_row_counts([](uint32_t rows) { return rope(rows, 3, 64, 8); });
}

TEST_P(Rope, by_the_second_table) {
  run_row_counts([](uint32_t rows) { return rope(rows, 3, 64, 0, 1); });
}

// transformers 4.57 Gemma3RotaryEmbedding: the table of full layers (theta 1e6, linear 8), then
// that of layers that slide (theta 1e4); head_dim 4, positions 5 and 700.
TEST_P(Rope, literal_of_two_tables) {
  OpCase c(2);
  c.step.position = {5, 700};
  c.step.length = {701};
  c.step.page.assign(3, 0);
  c.step.inv_freq = {0.125f, 1.25e-4f, 1.0f, 0.01f};
  c.shape = {2, 2, 1, 3};
  const Input x = c.input({1, 4}, {1, 2, 3, 4, -1, 0.5f, 0.25f, 2});
  c.expect_values(
      ToleranceClass::rope,
      c.op(abi::Op::rope, {x}, {1, 4}, abi::RopeParams{.scale = 1, .table = 0}),
      {-0.9443286657333374, 1.9974996424280107, 3.017986536026001, 4.001249284716323,
       -0.78198835253715515, 0.32331037521362305, 0.67156100273132324, 2.0360428690910339});
  c.expect_values(
      ToleranceClass::rope,
      c.op(abi::Op::rope, {x}, {1, 4}, abi::RopeParams{.scale = 1, .table = 1}),
      {3.1604350805282593, 1.7975838780403137, -0.10793769359588623, 4.0949594080448151,
       0.70311166346073151, -0.93702206015586853, -0.75374659895896912, 1.8362978100776672});
  run(c);
}

// transformers 4.57 apply_rotary_pos_emb: head_dim 4, theta 10000, positions 5 and 700.
TEST_P(Rope, literal) {
  OpCase c(2);
  c.step.position = {5, 700};
  c.step.length = {701};
  c.step.page.assign(3, 0);
  c.step.inv_freq = {1.0f, 0.01f};
  c.shape = {2, 2, 1, 3};
  const Input x = c.input({1, 4}, {1, 2, 3, 4, -1, 0.5f, 0.25f, 2});
  c.expect_values(
      ToleranceClass::rope, c.op(abi::Op::rope, {x}, {1, 4}, abi::RopeParams{}),
      {3.1604350094526414, 1.7975838437072191, -0.10793771827345966, 4.094959380121222,
       0.7031116950398986, -0.9370220702659258, -0.7537466048335613, 1.8362978080460037});
  run(c);
}

RW_ON_EVERY_DEVICE(Rope);

}  // namespace
}  // namespace ropewalk::test
