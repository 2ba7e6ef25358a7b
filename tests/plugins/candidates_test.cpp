// core/abi/candidates.h against the plain definitions: one sum in order, one sort of everything.
#include "core/abi/candidates.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

namespace ropewalk::abi {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();

// Rows that end inside, at and after a block of a vocabulary, of several widths and with ties.
std::vector<std::vector<Candidate>> rows() {
  std::mt19937 generator(5);
  std::vector<std::vector<Candidate>> all;
  for (const float width : {0.01f, 3.0f, 60.0f, 1e30f})
    for (const int32_t size : {1, 2, 7, 8, 9, 255, 256, 257, 4000}) {
      std::normal_distribution<float> normal(0, width);
      std::vector<Candidate>& row = all.emplace_back();
      for (int32_t id = 0; id < size; ++id) row.push_back({id, normal(generator)});
      if (size > 7) {
        row[3].logit = row[5].logit;
        row[6].logit = -kInfinity;
      }
    }
  all.push_back({{0, -kInfinity}, {1, -kMax}});
  all.push_back({{0, kMax}, {1, -kMax}, {2, kMax}});
  return all;
}

Candidates live(std::vector<Candidate>& row) {
  return {row.data(), static_cast<uint32_t>(row.size()), false};
}

TEST(Candidates, SoftmaxScaleIsTheSumOfExponentials) {
  for (std::vector<Candidate>& row : rows()) {
    const float greatest = std::max_element(row.begin(), row.end(), [](auto& a, auto& b) {
                             return a.logit < b.logit;
                           })->logit;
    double sum = 0;
    for (const Candidate& c : row) sum += std::exp(double{c.logit} - double{greatest});
    const SoftmaxScale scale = softmax_scale(live(row));
    EXPECT_EQ(scale.max, greatest);
    EXPECT_NEAR(scale.sum / sum, 1, 3e-7) << row.size();
  }
}

TEST(Candidates, EveryExponentialIsRightToTwoUnits) {
  for (float x = -87; x <= 0; x += 0.00037f) {
    const double expected = std::exp(double{x});
    ASSERT_NEAR(exp_of_negative(x) / expected, 1, 2 * std::numeric_limits<float>::epsilon()) << x;
  }
  EXPECT_EQ(exp_of_negative(0), 1);
}

TEST(Candidates, RankingIsTheOrderOfAFullSort) {
  for (std::vector<Candidate>& row : rows()) {
    std::vector<Candidate> sorted = row;
    std::sort(sorted.begin(), sorted.end(), precedes);
    Ranking ranking(live(row), greatest_logit(live(row)));
    for (uint32_t rank = 0; rank < sorted.size(); ++rank)
      ASSERT_EQ(ranking[rank].id, sorted[rank].id) << rank << " of " << sorted.size();
  }
}

}  // namespace
}  // namespace ropewalk::abi
