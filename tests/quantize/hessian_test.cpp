#include "core/quantize/hessian.h"

#include <gtest/gtest.h>

#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using quantize::Hessian;
using quantize::Shift;

// The sum over tokens of a_i b_j, and of its terms' sizes.
struct Sum {
  double sum = 0, size = 0;
};

Sum sum_of(const std::vector<float>& a, size_t i, const std::vector<float>& b, size_t j,
           size_t inputs) {
  Sum result;
  for (size_t t = 0; t < a.size() / inputs; ++t) {
    const double product =
        static_cast<double>(a[t * inputs + i]) * static_cast<double>(b[t * inputs + j]);
    result.sum += product;
    result.size += std::abs(product);
  }
  return result;
}

// Sizes beside the tiles' edges.
TEST(Hessian, SumsOuterProducts) {
  for (const uint32_t inputs : {1u, 63u, 64u, 65u, 130u}) {
    const std::vector<float> x = uneven_inputs(150, inputs, inputs);
    std::vector<float> apart = uneven_inputs(150, inputs, inputs + 1), dense = x;
    for (size_t i = 0; i < x.size(); ++i) {
      dense[i] += apart[i];
      apart[i] = dense[i] - x[i];
    }
    Hessian hessian(inputs);
    hessian.add(x, 2);
    EXPECT_EQ(hessian.tokens(), 150u);
    Shift shift(inputs);
    shift.add(x, dense, 2);
    for (uint32_t i = 0; i < inputs; ++i)
      for (uint32_t j = 0; j < inputs; ++j) {
        const size_t at = size_t{i} * inputs + j;
        const Sum moved = sum_of(apart, i, x, j, inputs), square = sum_of(x, i, x, j, inputs);
        ASSERT_NEAR(shift.sums()[at], moved.sum, 1e-5 * moved.size) << i << " " << j;
        if (j <= i) {
          ASSERT_NEAR(hessian.lower()[at], square.sum, 1e-5 * square.size) << i << " " << j;
        }
      }
  }
}

TEST(Hessian, AddsUp) {
  const std::vector<float> x = uneven_inputs(640, 20, 1);
  const std::vector<float> dense = uneven_inputs(640, 20, 2);
  Hessian whole(20), parts(20);
  Shift whole_shift(20), shift_parts(20);
  whole.add(x, 1);
  whole_shift.add(x, dense, 1);
  for (size_t first = 0; first < x.size(); first += 128 * 20) {
    const auto part = std::span(x).subspan(first, 128 * 20);
    parts.add(part, 1);
    shift_parts.add(part, std::span(dense).subspan(first, 128 * 20), 1);
  }
  EXPECT_EQ(whole.lower(), parts.lower());
  EXPECT_EQ(whole_shift.sums(), shift_parts.sums());
}

TEST(Hessian, IsTheSameForAnyThreads) {
  const std::vector<float> x = uneven_inputs(300, 200, 2);
  Hessian one(200), four(200);
  one.add(x, 1);
  four.add(x, 4);
  EXPECT_EQ(one.lower(), four.lower());
  const std::vector<float> dense = uneven_inputs(300, 200, 3);
  Shift shift(200), by_four(200);
  shift.add(x, dense, 1);
  by_four.add(x, dense, 4);
  EXPECT_EQ(shift.sums(), by_four.sums());
}

}  // namespace
}  // namespace ropewalk::test
