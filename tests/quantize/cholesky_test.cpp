#include "core/quantize/cholesky.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/quantize/factor.h"
#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using namespace quantize;

// Positive definite, full: X^T X + 0.1.
std::vector<double> positive(uint32_t n) {
  Hessian hessian(n);
  hessian.add(uneven_inputs(2 * n, n, n), 1);
  std::vector<double> full(size_t{n} * n);
  for (uint32_t i = 0; i < n; ++i)
    for (uint32_t j = 0; j < n; ++j)
      full[size_t{i} * n + j] =
          hessian.lower()[size_t{std::max(i, j)} * n + std::min(i, j)] + (i == j ? .1 : 0);
  return full;
}

class CholeskySizes : public ::testing::TestWithParam<uint32_t> {};

TEST_P(CholeskySizes, FactorsAndInverts) {
  const uint32_t n = GetParam();
  const std::vector<double> full = positive(n);
  std::vector<double> lower = full;
  ASSERT_TRUE(cholesky(lower, n, 2));
  const auto l = [&](uint32_t i, uint32_t j) { return j <= i ? lower[size_t{i} * n + j] : 0; };
  for (uint32_t i = 0; i < n; ++i)
    for (uint32_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (uint32_t k = 0; k <= j; ++k) sum += l(i, k) * l(j, k);
      ASSERT_NEAR(sum, full[size_t{i} * n + j], 1e-11 * full[size_t{i} * n + i]) << i << " " << j;
    }
  const std::vector<float> upper = reversed_inverse(lower, n, 2);
  // (reversed U) L = 1
  for (uint32_t i = 0; i < n; ++i)
    for (uint32_t j = 0; j < n; ++j) {
      double sum = 0;
      for (uint32_t k = 0; k < n; ++k)
        sum += static_cast<double>(upper[size_t{n - 1 - i} * n + (n - 1 - k)]) * l(k, j);
      ASSERT_NEAR(sum, i == j ? 1 : 0, 1e-5) << i << " " << j;
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, CholeskySizes, ::testing::Values(1, 2, 63, 64, 65, 150));

TEST(Cholesky, IsTheSameForAnyThreads) {
  std::vector<double> one = positive(200), four = one;
  ASSERT_TRUE(cholesky(one, 200, 1) && cholesky(four, 200, 4));
  EXPECT_EQ(one, four);
  EXPECT_EQ(reversed_inverse(one, 200, 1), reversed_inverse(one, 200, 4));
}

TEST(Cholesky, RefusesWhatIsNotPositive) {
  std::vector<double> negative = positive(70);
  negative[69 * 70 + 69] = -1;
  EXPECT_FALSE(cholesky(negative, 70, 1));
  std::vector<double> spoilt = positive(70);
  spoilt[40 * 70 + 3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(cholesky(spoilt, 70, 1));
}

// Fewer tokens than inputs: H is singular, the damping makes it positive.
TEST(Factorise, TakesFewTokens) {
  Hessian hessian(100);
  hessian.add(uneven_inputs(10, 100, 3), 1);
  Settings settings;
  const auto factor = factorise(hessian, settings);
  ASSERT_TRUE(factor);
  EXPECT_EQ(factor->damp, 0.01);
}

TEST(Factorise, RaisesTheDampingWhereItMust) {
  Hessian hessian(100);
  hessian.add(uneven_inputs(10, 100, 3), 1);
  Settings settings;
  settings.damp = 1e-19;  // vanishes beside the diagonal
  const auto factor = factorise(hessian, settings);
  ASSERT_TRUE(factor);
  EXPECT_GT(factor->damp, 1e-17);
  EXPECT_LT(factor->damp, 1e-3);
}

TEST(Factorise, GivesUpWhereNothingHelps) {
  std::vector<float> x = uneven_inputs(10, 30, 3);
  x[7] = std::numeric_limits<float>::quiet_NaN();
  Hessian hessian(30);
  hessian.add(x, 1);
  EXPECT_FALSE(factorise(hessian, Settings{}));
  Hessian silent(30);
  silent.add(std::vector<float>(300), 1);
  EXPECT_FALSE(factorise(silent, Settings{})) << "every input is dead";
}

}  // namespace
}  // namespace ropewalk::test
