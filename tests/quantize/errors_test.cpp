// What is lost, beside the formula in double precision.
#include "core/quantize/errors.h"

#include <gtest/gtest.h>

#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using namespace quantize;

// x H x^T
double energy(const Hessian& hessian, const std::vector<double>& x) {
  const size_t n = hessian.inputs();
  double sum = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      sum += x[i] * x[j] * hessian.lower()[std::max(i, j) * n + std::min(i, j)];
  return sum;
}

double plain_error(const std::vector<float>& weight, const QuantizedMatrix& result,
                   const Hessian& hessian) {
  double lost = 0, whole = 0;
  for (uint32_t row = 0; row < result.rows; ++row) {
    std::vector<double> difference, all;
    for (uint32_t k = 0; k < result.cols; ++k) {
      all.push_back(static_cast<double>(weight[size_t{row} * result.cols + k]));
      difference.push_back(all.back() - static_cast<double>(result.value(row, k)));
    }
    lost += energy(hessian, difference);
    whole += energy(hessian, all);
  }
  return lost / whole;
}

// Rows and inputs beside the edges of blocks and tiles.
TEST(RelativeErrors, AreThoseOfTheFormula) {
  for (const uint32_t rows : {1u, 63u, 65u, 130u})
    for (const uint32_t cols : {32u, 96u, 288u, 352u}) {
      const std::vector<float> weight = Noise(rows).values(size_t{rows} * cols);
      Hessian hessian(cols);
      hessian.add(uneven_inputs(2 * cols, cols, cols), 2);
      Settings settings;
      const QuantizedMatrix four = round_to_nearest(weight, rows, cols, settings);
      settings.bits = 3;
      settings.symmetric = false;
      const QuantizedMatrix three = round_to_nearest(weight, rows, cols, settings);
      const std::vector<double> found = relative_errors(weight, {&four, &three}, hessian, 2);
      ASSERT_EQ(found.size(), 2u);
      const double exact = plain_error(weight, four, hessian);
      ASSERT_NEAR(found[0], exact, 1e-6 * exact) << rows << " " << cols;
      const double coarse = plain_error(weight, three, hessian);
      ASSERT_NEAR(found[1], coarse, 1e-6 * coarse) << rows << " " << cols;
      const auto energy_of = [&](std::span<const float> x) {
        double sum = 0;
        for (size_t first = 0; first < x.size(); first += cols)
          sum += energy(hessian, {x.begin() + first, x.begin() + first + cols});
        return sum;
      };
      const std::vector<double> elsewhere = relative_errors(weight, {&four, &three}, energy_of, 2);
      ASSERT_EQ(elsewhere.size(), 2u);
      ASSERT_NEAR(elsewhere[0], exact, 1e-6 * exact);
      ASSERT_NEAR(elsewhere[1], coarse, 1e-6 * coarse);
      EXPECT_EQ(relative_errors(weight, {&four, &three}, hessian, 1), found);
      EXPECT_EQ(relative_errors(weight, {&four, &three}, hessian, 4), found);
    }
}

// A matrix of zeros has no energy to lose.
TEST(RelativeErrors, AreZeroWhereThereIsNothingToLose) {
  const std::vector<float> weight(64);
  Hessian hessian(32);
  hessian.add(uneven_inputs(50, 32, 1), 1);
  const QuantizedMatrix rounded = round_to_nearest(weight, 2, 32, Settings{});
  EXPECT_EQ(relative_errors(weight, {&rounded}, hessian, 1).front(), 0);
}

}  // namespace
}  // namespace ropewalk::test
