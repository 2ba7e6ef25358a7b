#include "core/eval/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

// p = (1/2 1/4 1/4), q = (1/4 1/4 1/2): KL = ln 2 (1/2 - 1/4), in closed form.
TEST(ComparisonSum, IsTheDivergenceInNats) {
  const std::vector<float> p = {std::log(2.0f), 0, 0}, q = {5, 5, 5 + std::log(2.0f)};
  ComparisonSum sum;
  sum.add(p, q, 0);
  const Comparison once = sum.result();
  EXPECT_NEAR(once.kl_mean, std::log(2.0) / 4, 1e-7);
  EXPECT_NEAR(once.a.value(), 2, 1e-6);
  EXPECT_NEAR(once.b.value(), 4, 1e-6);
  EXPECT_NEAR(once.max_difference, 5 + std::log(2.0), 1e-6);
  EXPECT_EQ(once.same_top, 0);

  for (int i = 0; i < 199; ++i) sum.add(p, p, 1);
  const Comparison many = sum.result();
  EXPECT_EQ(many.tokens, 200u);
  EXPECT_NEAR(many.kl_mean, std::log(2.0) / 800, 1e-9);
  EXPECT_EQ(many.kl_p99, 0);  // the 198th of 200
  EXPECT_NEAR(many.kl_max, std::log(2.0) / 4, 1e-7);
  EXPECT_DOUBLE_EQ(many.same_top, 199.0 / 200);
}

TEST(ComparisonSum, OfNothingIsNothing) {
  EXPECT_EQ(ComparisonSum().result().tokens, 0u);
  EXPECT_EQ(ComparisonSum().result().kl_mean, 0);
}

TEST(CompareWindows, AModelIsItselfAndNotAnother) {
  const std::string linear = "rope-linear", plain = "rope-plain-beyond";
  const Json expected = expected_of(linear);
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  const auto load = [&](const std::string& variant) {
    return FixtureModel(variant, fixture_settings(fixture_config(variant, expected)));
  };
  FixtureModel a = load(linear), same = load(linear), other = load(plain);
  const std::vector<ScoredWindow> windows = {{ids, 1}, {{ids.begin() + 3, ids.end()}, 20}};
  ComparisonSum equal;
  uint64_t done = 0;
  const auto progress = [&](uint64_t now, uint64_t total) {
    done = now;
    EXPECT_EQ(total, 2 * ids.size() - 5);
  };
  compare_windows(a.runtime, same.runtime, windows, equal, progress);
  EXPECT_EQ(done, 2 * ids.size() - 5);
  EXPECT_EQ(equal.result().tokens, ids.size() - 1 + ids.size() - 23);
  EXPECT_EQ(equal.result().kl_max, 0);
  EXPECT_EQ(equal.result().same_top, 1);
  EXPECT_EQ(equal.result().max_difference, 0);
  double nll = 0;
  for (size_t i = 1; i < ids.size(); ++i) nll -= expected["logprobs"][i].get<double>();
  ComparisonSum first;
  compare_windows(a.runtime, other.runtime, {windows.data(), 1}, first, [](uint64_t, uint64_t) {});
  EXPECT_NEAR(first.result().a.nll, nll / static_cast<double>(ids.size() - 1), 1e-4);
  EXPECT_GT(first.result().kl_mean, 1e-2);
}

}  // namespace
}  // namespace ropewalk::test
