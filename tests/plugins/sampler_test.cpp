// The samplers against transformers' processors, closed forms, and what must hold for any input.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/abi/sampler.h"
#include "tests/plugins/plugin.h"

namespace ropewalk {
namespace {

using testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class NoRandom final : public abi::Random {
 public:
  double uniform() noexcept override { return ADD_FAILURE() << "a draw", 0; }
};

// Candidates in a row, as the host has them.
struct Row {
  explicit Row(const std::vector<float>& logits) {
    for (const float logit : logits)
      storage.push_back({static_cast<int32_t>(storage.size()), logit});
    live = {storage.data(), static_cast<uint32_t>(storage.size()), false};
  }

  void run(abi::Sampler& sampler, const std::vector<int32_t>& history) {
    NoRandom random;
    const abi::Status status =
        sampler.apply(live, {history, static_cast<uint32_t>(history.size()), &random});
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_TRUE(!live.sorted || std::is_sorted(live.data, live.data + live.size, abi::precedes));
  }
  std::vector<int32_t> ids() const {
    std::vector<int32_t> ids;
    for (const abi::Candidate& candidate : live.all()) ids.push_back(candidate.id);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  std::map<int32_t, float> logits() const {
    std::map<int32_t, float> logits;
    for (const abi::Candidate& candidate : live.all()) logits[candidate.id] = candidate.logit;
    return logits;
  }

  std::vector<abi::Candidate> storage;
  abi::Candidates live{};
};

Owned<abi::Sampler> make(const std::string& name, const TestOptions& options) {
  return make_plugin<abi::Sampler>(name, options);
}

std::vector<int32_t> survivors(const std::string& name, const TestOptions& options,
                               const std::vector<float>& logits) {
  Row row(logits);
  row.run(*make(name, options), {});
  return row.ids();
}

struct Step {
  const char* sampler;
  const char* option;
  const char* transformers;  // its name of the option
};

void expect_transformers(const std::string& file, const std::vector<Step>& steps) {
  const Json rows = read_fixture("samplers/" + file)["rows"];
  EXPECT_EQ(rows.size(), 40u);
  for (const Json& row : rows) {
    Row candidates(row["logits"].get<std::vector<float>>());
    const auto history = row.value("ids", std::vector<int32_t>{});
    for (const Step& step : steps)
      candidates.run(*make(step.sampler, {{step.option, row["options"][step.transformers]}}),
                     history);
    const auto expected = row["survivors"].get<std::vector<int32_t>>();
    ASSERT_EQ(candidates.ids(), expected) << row["options"];
    const abi::SoftmaxScale scale = abi::softmax_scale(candidates.live);
    const auto logits = candidates.logits();
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(scale.probability(logits.at(expected[i])), row["probs"][i].get<double>(), 1e-6)
          << row["options"] << " id " << expected[i];
  }
}

constexpr Step kPenalty = {"repetition-penalty", "penalty", "penalty"};
constexpr Step kTemperature = {"temperature", "temperature", "temperature"};
constexpr Step kTopK = {"top-k", "k", "top_k"};
constexpr Step kTopP = {"top-p", "p", "top_p"};
constexpr Step kMinP = {"min-p", "p", "min_p"};

TEST(Samplers, TemperatureIsTransformers) {
  expect_transformers("temperature.json", {kTemperature});
}
TEST(Samplers, TopKIsTransformers) { expect_transformers("top-k.json", {kTopK}); }
TEST(Samplers, TopPIsTransformers) { expect_transformers("top-p.json", {kTopP}); }
TEST(Samplers, MinPIsTransformers) { expect_transformers("min-p.json", {kMinP}); }
TEST(Samplers, RepetitionPenaltyIsTransformers) {
  expect_transformers("repetition-penalty.json", {kPenalty});
}
TEST(Samplers, AChainIsTransformers) {
  expect_transformers("chain.json", {kPenalty, kTemperature, kTopK, kTopP, kMinP});
}

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
  row.run(*make("temperature", {{"temperature", 0.5}}), {});
  EXPECT_EQ(row.logits(), (std::map<int32_t, float>{{0, 8}, {1, -4}, {2, -kInfinity}}));
  row.live.sorted = true;
  row.run(*make("temperature", {{"temperature", 1}}), {});
  EXPECT_TRUE(row.live.sorted);
}

TEST(Samplers, RepetitionPenaltyTouchesEachTokenOnceWithinItsRange) {
  const std::vector<float> logits = {3, -3, 3, 3, -kInfinity};
  const std::vector<int32_t> history = {2, 1, 1, 0, 0, 4, 99, -1};
  const auto penalised = [&](int range) {
    Row row(logits);
    row.run(*make("repetition-penalty", {{"penalty", 1.5}, {"range", range}}), history);
    return row.logits();
  };
  using Logits = std::map<int32_t, float>;
  const Logits all = {{0, 2}, {1, -4.5}, {2, 2}, {3, 3}, {4, -kInfinity}};
  EXPECT_EQ(penalised(0), all);
  EXPECT_EQ(penalised(8), all);
  EXPECT_EQ(penalised(1000), all);
  EXPECT_EQ(penalised(7), (Logits{{0, 2}, {1, -4.5}, {2, 3}, {3, 3}, {4, -kInfinity}}));
  EXPECT_EQ(penalised(4), (Logits{{0, 2}, {1, -3}, {2, 3}, {3, 3}, {4, -kInfinity}}));
}

// Wherever a link before it has left the candidates, and however few.
TEST(Samplers, RepetitionPenaltyFindsCandidatesOutOfPlace) {
  Row row({1, 2, 3, 4, 5, 6});
  abi::sort(row.live);  // ids 5 4 3 2 1 0
  row.live.size = 5;
  std::swap(row.storage[0], row.storage[4]);  // ids 1 4 3 2 5
  std::swap(row.storage[2], row.storage[3]);  // ids 1 4 2 3 5: ids 2 and 3 in place
  row.run(*make("repetition-penalty", {{"penalty", 2}}), {0, 3, 3, 4, 1, 1, 4});
  EXPECT_EQ(row.logits(), (std::map<int32_t, float>{{1, 1}, {2, 3}, {3, 2}, {4, 2.5}, {5, 6}}));
}

// A sampler serves many tokens: what it marked for one must not penalise at the next.
TEST(Samplers, RepetitionPenaltyForgetsWhatLeftItsRange) {
  const auto sampler = make("repetition-penalty", {{"penalty", 2}, {"range", 1}});
  for (int32_t latest = 0; latest < 3; ++latest) {
    Row row({8, 8, 8});
    row.run(*sampler, {latest});
    for (const auto& [id, logit] : row.logits()) EXPECT_EQ(logit, id == latest ? 4 : 8);
  }
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
      {"top-k", {{"k", 1}}},
      {"top-k", {{"k", 40}}},
      {"top-p", {{"p", 0}}},
      {"top-p", {{"p", 0.9}}},
      {"top-p", {{"p", 0.9999999999999999}}},
      {"min-p", {{"p", 1}}},
      {"min-p", {{"p", 0.1}}},
      {"repetition-penalty", {{"penalty", 100}}},
      {"repetition-penalty", {{"penalty", 0.01}}},
  };
  for (const auto& logits : rows) {
    for (const auto& [first, first_options] : samplers) {
      for (const auto& [second, second_options] : samplers) {
        Row row(logits);
        row.run(*make(first, first_options), {0, 1, 32015});
        row.run(*make(second, second_options), {0, 1, 32015});
        ASSERT_GE(row.live.size, 1u) << first << second;
        float greatest = -kInfinity;
        for (const abi::Candidate& candidate : row.live.all()) {
          ASSERT_LT(candidate.logit, kInfinity) << first << second;
          greatest = std::max(greatest, candidate.logit);
        }
        ASSERT_GT(greatest, -kInfinity) << first << second;
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
    row.run(*make("top-p", {{"p", p}}), {});
    ASSERT_EQ(row.live.size, count) << p;
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(row.storage[i].id, sorted.storage[i].id) << p;
  }
  for (const int k : {1, 40, 5000}) {
    const float least = sorted.storage[static_cast<size_t>(k - 1)].logit;
    Row row(logits);
    row.run(*make("top-k", {{"k", k}}), {});
    EXPECT_EQ(row.live.size, std::count_if(logits.begin(), logits.end(),
                                           [&](float logit) { return logit >= least; }))
        << k;
  }
}

}  // namespace
}  // namespace ropewalk
