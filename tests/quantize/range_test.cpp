#include "core/quantize/range.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using namespace quantize;

Settings settings_of(uint8_t bits, bool symmetric, ZeroForm zeros, Search search) {
  Settings settings;
  settings.bits = bits;
  settings.symmetric = symmetric;
  settings.zeros = zeros;
  settings.search = search;
  return settings;
}

TEST(Range, HasItsZeroInTheMiddleWhereSymmetric) {
  const std::vector<float> weights = {0.1f, 0.2f, 0.75f};
  const Range range = find_range(weights, {}, settings_of(4, true, ZeroForm::v1, Search::none));
  EXPECT_EQ(range.zero, 8);
  EXPECT_NEAR(range.scale, 1.5f / 15, 1e-4f);
}

TEST(Range, TakesAGroupOfZeros) {
  const std::vector<float> weights(8, 0.0f);
  for (const bool symmetric : {true, false}) {
    const Range range =
        find_range(weights, {}, settings_of(4, symmetric, ZeroForm::v2, Search::none));
    EXPECT_EQ(range.value_of(range.code_of(0, 15)), 0) << symmetric;
    EXPECT_NEAR(range.scale, 2.0 / 15, 1e-4) << "from -1 to 1, as AutoGPTQ has it";
  }
}

// v1 stores z - 1: no zero point is 0, and both ends can still be said.
TEST(Range, NeverHasTheZeroPointThatV1Lacks) {
  for (const uint8_t bits : {uint8_t{2}, uint8_t{3}, uint8_t{4}, uint8_t{8}})
    for (const float low : {0.0f, -0.01f, -1.0f, -100.0f}) {
      const std::vector<float> weights = {low, 0.5f, 1.0f};
      const Settings settings = settings_of(bits, false, ZeroForm::v1, Search::none);
      const Range range = find_range(weights, {}, settings);
      EXPECT_GE(range.zero, 1);
      EXPECT_LE(range.zero, settings.max_code());
      const float step = range.scale * 0.51f + 1e-3f;
      EXPECT_NEAR(range.value_of(range.code_of(low, settings.max_code())), low, step);
      EXPECT_NEAR(range.value_of(range.code_of(1.0f, settings.max_code())), 1.0f, step);
    }
  const std::vector<float> positive = {0.25f, 1.0f};
  EXPECT_EQ(find_range(positive, {}, settings_of(4, false, ZeroForm::v2, Search::none)).zero, 0);
}

TEST(Range, KeepsTheScaleThatTheFileKeeps) {
  const std::vector<float> weights = Noise(5).values(32);
  const Range range = find_range(weights, {}, settings_of(4, true, ZeroForm::v1, Search::none));
  EXPECT_EQ(std::ldexp(std::nearbyint(std::ldexp(range.scale, 13)), -13), range.scale)
      << "an f16 between 1/8 and 1/4 is a multiple of 2^-13";
}

TEST(Range, SaysWhereTheScaleDoesNotFit) {
  const std::vector<float> large = {1e6f, -1e6f}, small = {1e-9f, -1e-9f};
  EXPECT_TRUE(find_range(large, {}, settings_of(4, true, ZeroForm::v1, Search::none)).overflow);
  const Range range = find_range(small, {}, settings_of(4, true, ZeroForm::v1, Search::none));
  EXPECT_FALSE(range.overflow);
  EXPECT_GT(range.scale, 0);
}

// The least cost of all factors that a search tries, except for the rounding of scales to f16.
TEST(Range, SearchFindsWhatCostsLeast) {
  Noise noise(9);
  double found_sum = 0, plain_sum = 0;
  for (int group = 0; group < 50; ++group) {
    const std::vector<float> weights = noise.values(32);
    std::vector<float> importance = noise.values(32);
    for (float& value : importance) value = std::abs(value) + 0.05f;
    float largest = 0;
    for (const float weight : weights) largest = std::max(largest, std::abs(weight));
    for (const Search search : {Search::mse, Search::weighted}) {
      const bool mse = search == Search::mse;
      const auto cost = [&](float scale) {
        double sum = 0;
        for (size_t i = 0; i < weights.size(); ++i) {
          const float code = std::clamp(std::nearbyint(weights[i] / scale), -4.0f, 3.0f);
          const double error = std::abs(static_cast<double>(weights[i] - scale * code));
          sum += std::pow(mse ? error : error / static_cast<double>(importance[i]), mse ? 2.4 : 2);
        }
        return sum;
      };
      double least = cost(2 * largest / 7);
      for (int percent = mse ? 21 : 51; percent <= (mse ? 100 : 110); ++percent)
        least = std::min(least, cost(2 * largest / 7 * static_cast<float>(percent) / 100));
      const double found =
          cost(find_range(weights, importance, settings_of(3, true, ZeroForm::v1, search)).scale);
      EXPECT_LE(found, 1.02 * least) << group << " " << mse;
      found_sum += found;
      plain_sum += cost(2 * largest / 7);
    }
  }
  EXPECT_LT(found_sum, 0.9 * plain_sum);
}

}  // namespace
}  // namespace ropewalk::test
