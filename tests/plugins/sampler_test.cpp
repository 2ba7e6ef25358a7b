// The samplers by closed forms, and what must hold for any input. Against transformers:
// transformers_test.cpp.
#include <cmath>
#include <random>
#include <utility>

#include "tests/plugins/sampler_test.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;

// Probabilities 0.5, 0.25, 0.125, 0.125, in ids 2, 0, 1, 3.
const std::vector<float> kHalves = {std::log(.25f), std::log(.125f), std::log(.5f),
                                    std::log(.125f)};

TEST(Samplers, TopPKeepsTheTokenThatCrosses) {
  const auto kept = [](double p) { return survivors("top-p", {{"p", p}}, kHalves); };
  EXPECT_THAT(kept(0), ElementsAre(2));
  EXPECT_THAT(kept(0.49), ElementsAre(2));
  EXPECT_THAT(kept(0.51), ElementsAre(0, 2));
  EXPECT_THAT(kept(0.74), ElementsAre(0, 2));
  EXPECT_THAT(kept(0.76), ElementsAre(0, 1, 2));  // of the two equal ones the lower id
  EXPECT_THAT(kept(0.99), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(1), ElementsAre(0, 1, 2, 3));
}

TEST(Samplers, TopKKeepsTiesOfTheLast) {
  const auto kept = [](int k) { return survivors("top-k", {{"k", k}}, kHalves); };
  EXPECT_THAT(kept(0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(1), ElementsAre(2));
  EXPECT_THAT(kept(2), ElementsAre(0, 2));
  EXPECT_THAT(kept(3), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(4), ElementsAre(0, 1, 2, 3));
}

TEST(Samplers, MinPIsAShareOfTheGreatest) {
  const auto kept = [](double p) { return survivors("min-p", {{"p", p}}, kHalves); };
  EXPECT_THAT(kept(0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(0.24), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(0.26), ElementsAre(0, 2));
  EXPECT_THAT(kept(0.51), ElementsAre(2));
  EXPECT_THAT(kept(1), ElementsAre(2));
}

TEST(Samplers, TemperatureZeroKeepsTheGreatestTiesToTheLowerId) {
  EXPECT_THAT(survivors("temperature", {{"temperature", 0}}, {1, 7, 3, 7}), ElementsAre(1));
}

TEST(Samplers, TemperatureDivides) {
  Row row({4, -2, -kInfinity});
  row.run_after({}, *make("temperature", {{"temperature", 0.5}}));
  EXPECT_EQ(row.logits(), (std::map<int32_t, float>{{0, 8}, {1, -4}, {2, -kInfinity}}));
  row.live.sorted = true;
  row.run_after({}, *make("temperature", {{"temperature", 1}}));
  EXPECT_TRUE(row.live.sorted);
}

// Any links in any order, on rows that are small, tied, mostly banned, or as wide as a vocabulary.
TEST(Samplers, NeverLeaveNothingOrANan) {
  std::mt19937 generator(3);
  std::vector<std::vector<float>> rows = {
      {0}, {5, 5}, {-kInfinity, 1}, {1, -kInfinity, -kInfinity}, {3e38f, -3e38f, 0}, {-3e38f}};
  rows.emplace_back(32016, 1.f);
  rows.emplace_back(32016, -kInfinity);
  rows.back()[32015] = -3;
  std::normal_distribution<float> normal(0, 4);
  rows.emplace_back(32016);
  for (float& logit : rows.back()) logit = normal(generator);

  const std::pair<const char*, TestOptions> samplers[] = {
      {"temperature", {{"temperature", 0}}},
      {"temperature", {{"temperature", 1e-30}}},
      {"temperature", {{"temperature", 100}}},
      {"dynamic-temperature", {{"low", 0.01}, {"high", 100}}},
      {"quadratic", {{"factor", 100}, {"curve", 3}}},
      {"top-k", {{"k", 1}}},
      {"top-k", {{"k", 40}}},
      {"top-p", {{"p", 0}}},
      {"top-p", {{"p", 0.9}}},
      {"top-p", {{"p", 0.9999999999999999}}},
      {"min-p", {{"p", 1}}},
      {"min-p", {{"p", 0.1}}},
      {"top-a", {{"a", 1}}},
      {"tail-free", {{"z", 0}}},
      {"tail-free", {{"z", 0.9}}},
      {"typical", {{"p", 0.0001}}},
      {"typical", {{"p", 0.9999}}},
      {"epsilon", {{"epsilon", 1}}},
      {"eta", {{"epsilon", 1}}},
      {"top-n-sigma", {{"n", 0.001}}},
      {"xtc", {{"probability", 1}, {"threshold", 0}}},
      {"xtc", {{"probability", 1}, {"threshold", 0.01}}},
      {"mirostat", {{"version", 1}}},
      {"mirostat", {{"version", 1}, {"tau", 0}}},
      {"mirostat", {{"version", 2}, {"tau", 0}}},
      {"mirostat", {{"version", 2}, {"tau", 100}}},
      {"repetition-penalty", {{"penalty", 100}}},
      {"repetition-penalty", {{"penalty", 0.01}}},
      {"repetition-penalty", {{"penalty", 100}, {"range", 1}, {"decay", 1}}},
      {"frequency-presence", {{"frequency", 100}, {"presence", 100}, {"scope", "all"}}},
      {"frequency-presence", {{"frequency", -100}, {"scope", "all"}}},
      {"no-repeat-ngram", {{"size", 1}}},
      {"dry", {{"multiplier", 100}, {"base", 100}, {"allowed_length", 1}}},
      {"logit-bias", {{"ids", {0, 1, 399}}, {"bias", 1000}}},
      {"logit-bias", {{"ids", {0, 1, 2, 3}}, {"bias", -1000}}},
      {"ban-tokens", {{"ids", {0, 1, 2}}, {"end", true}}},
      {"min-length", {{"tokens", 1000}}},
      {"greedy", {}},
      {"draw", {}},
  };
  const std::vector<int32_t> history = {0, 1, 32015, 0, 1, 32015, 0, 1};
  for (const auto& logits : rows) {
    for (const auto& [first, first_options] : samplers) {
      for (const auto& [second, second_options] : samplers) {
        // All pairs on small rows; wide ones after the widest cuts, which leave the most.
        if (logits.size() > 1000 && std::string(first) != second) continue;
        for (const double number : {0.0, 0.999999}) {
          Row row(logits);
          FixedRandom random(number);
          const abi::SampleContext context{history, 4, &random};
          row.run(*make(first, first_options), context);
          row.run(*make(second, second_options), context);
          ASSERT_GE(row.live.size, 1u) << first << second;
          float greatest = -kInfinity;
          for (const abi::Candidate& candidate : row.live.all()) {
            ASSERT_LT(candidate.logit, kInfinity) << first << second;
            greatest = std::max(greatest, candidate.logit);
          }
          ASSERT_GT(greatest, -kInfinity) << first << " " << second;
        }
      }
    }
  }
}

// The shortcuts over a wide row against the definition, by sorting all of it.
TEST(Samplers, WideRowsGetTheSameAsAFullSort) {
  std::mt19937 generator(11);
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> logits(32016);
  for (float& logit : logits) logit = std::round(normal(generator) * 64) / 64;  // with many ties
  Row sorted(logits);
  abi::sort(sorted.live);
  const abi::SoftmaxScale scale = abi::softmax_scale(sorted.live);
  for (const double p : {0.01, 0.2, 0.5, 0.9}) {
    double reached = 0;
    size_t count = 0;
    while (reached < p) reached += scale.probability(sorted.storage[count++].logit);
    Row row(logits);
    row.run_after({}, *make("top-p", {{"p", p}}));
    ASSERT_EQ(row.live.size, count) << p;
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(row.storage[i].id, sorted.storage[i].id) << p;
  }
  for (const int k : {1, 40, 5000}) {
    const float min = sorted.storage[static_cast<size_t>(k - 1)].logit;
    Row row(logits);
    row.run_after({}, *make("top-k", {{"k", k}}));
    EXPECT_EQ(row.live.size, std::count_if(logits.begin(), logits.end(),
                                           [&](float logit) { return logit >= min; }))
        << k;
  }
}

}  // namespace
}  // namespace ropewalk::test
