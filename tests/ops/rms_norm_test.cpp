#include <cmath>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

constexpr float kEpsilon = 1e-5f;

class RmsNorm : public OpTest {};

OpCase rms_norm(uint32_t rows, uint32_t width, bool ordered) {
  OpCase c(rows);
  const Input x = c.random_input({width});
  const std::vector<float> weight = c.random.values(width);
  const std::vector<uint32_t> order = c.random.permutation(width);
  std::vector<uint32_t> in = {x, c.graph.vector("weight", weight)};
  if (ordered) in.push_back(c.graph.order("order", order));
  const uint32_t y = c.op(abi::Op::rms_norm, in, {width}, abi::NormParams{kEpsilon});
  std::vector<double> root(rows, static_cast<double>(kEpsilon));
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t i = 0; i < width; ++i) root[r] += x(r, i) * x(r, i) / width;
    root[r] = std::sqrt(root[r]);
  }
  c.expect(ToleranceClass::norm, y, [&](uint32_t r, uint32_t i) {
    const uint32_t j = ordered ? order[i] : i;
    return x(r, j) / root[r] * static_cast<double>(weight[j]);
  });
  return c;
}

TEST_P(RmsNorm, width_192) {
  run_row_counts([](uint32_t rows) { return rms_norm(rows, 192, false); });
}
TEST_P(RmsNorm, odd_width) {
  run_row_counts([](uint32_t rows) { return rms_norm(rows, 75, false); });
}
TEST_P(RmsNorm, ordered) {
  run_row_counts([](uint32_t rows) { return rms_norm(rows, 192, true); });
}

// A row of heads, each normalised alone, as Qwen3 does to queries and keys.
OpCase rms_norm_of_heads(uint32_t rows, uint32_t heads, uint32_t head_dim) {
  OpCase c(rows);
  const Input x = c.random_input({heads, head_dim});
  const std::vector<float> weight = c.random.values(head_dim);
  const uint32_t y = c.op(abi::Op::rms_norm, {x, c.graph.vector("weight", weight)},
                          {heads, head_dim}, abi::NormParams{kEpsilon});
  c.expect(ToleranceClass::norm, y, [&](uint32_t r, uint32_t i) {
    const uint32_t first = i / head_dim * head_dim;
    double mean = 0;
    for (uint32_t j = 0; j < head_dim; ++j) mean += x(r, first + j) * x(r, first + j) / head_dim;
    return x(r, i) / std::sqrt(mean + static_cast<double>(kEpsilon)) *
           static_cast<double>(weight[i - first]);
  });
  return c;
}

TEST_P(RmsNorm, heads_of_128) {
  run_row_counts([](uint32_t rows) { return rms_norm_of_heads(rows, 3, 128); });
}
TEST_P(RmsNorm, heads_of_odd_width) {
  run_row_counts([](uint32_t rows) { return rms_norm_of_heads(rows, 5, 43); });
}

// Beside values as small as these epsilon counts.
TEST_P(RmsNorm, of_small_values) {
  constexpr uint32_t kWidth = 192;
  run_row_counts([](uint32_t rows) {
    OpCase c(rows);
    std::vector<float> values = c.random.values(uint64_t{rows} * kWidth);
    for (float& value : values) value *= 1e-3f;
    const Input x = c.input({kWidth}, values);
    const uint32_t y =
        c.op(abi::Op::rms_norm, {x, c.graph.vector("weight", std::vector<float>(kWidth, 1))},
             {kWidth}, abi::NormParams{kEpsilon});
    c.expect(ToleranceClass::norm, y, [&](uint32_t r, uint32_t i) {
      double mean = 0;
      for (uint32_t j = 0; j < kWidth; ++j) mean += x(r, j) * x(r, j) / kWidth;
      return x(r, i) / std::sqrt(mean + static_cast<double>(kEpsilon));
    });
    return c;
  });
}

// transformers 4.57 LlamaRMSNorm(4, eps=1e-6) with weight (1, 2, 3, -0.5) of x = (1, -2, 3, 4).
TEST_P(RmsNorm, literal) {
  OpCase c(1);
  const Input x = c.input({4}, {1, -2, 3, 4});
  const uint32_t weight = c.graph.vector("weight", {1, 2, 3, -0.5f});
  c.expect_values(
      ToleranceClass::norm, c.op(abi::Op::rms_norm, {x, weight}, {4}, abi::NormParams{1e-6f}),
      {0.3651483654975891, -1.4605934619903564, 3.2863354682922363, -0.7302967309951782});
  run(c);
}

RW_ON_EVERY_DEVICE(RmsNorm);

}  // namespace
}  // namespace ropewalk::test
