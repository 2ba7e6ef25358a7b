#include "core/sample/chain.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/sample/logprobs.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Apply = std::function<abi::Status(abi::Candidates&, const abi::SampleContext&)>;

// A link that the test controls, and a record of its calls.
class FakeSampler final : public abi::Sampler {
 public:
  FakeSampler(Apply apply, std::vector<int32_t>* accepted)
      : apply_(std::move(apply)), accepted_(accepted) {}

  abi::Status apply(abi::Candidates& candidates,
                    const abi::SampleContext& context) noexcept override {
    return apply_(candidates, context);
  }
  abi::Status accept(int32_t id) noexcept override {
    if (accepted_) accepted_->push_back(id);
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  Apply apply_;
  std::vector<int32_t>* accepted_;
};

ChainLink link(std::string name, Apply apply, std::vector<int32_t>* accepted) {
  return {std::move(name), Owned<abi::Sampler>(new FakeSampler(std::move(apply), accepted))};
}

std::vector<ChainLink> one(Apply apply) {
  std::vector<ChainLink> links;
  links.push_back(link("fake", std::move(apply), nullptr));
  return links;
}

abi::Status pass(abi::Candidates&, const abi::SampleContext&) { return {}; }

int32_t sample(Chain& chain, const std::vector<float>& logits) {
  const std::vector<int32_t> history = {1, 2, 3};
  return chain.sample(logits, history, 2);
}

// The Error that sampling `logits` through `links` ends in.
void expect_error(std::vector<ChainLink> links, const std::vector<float>& logits, ExitCode code,
                  const std::string& message) {
  Chain chain(std::move(links), 0);
  try {
    sample(chain, logits);
    ADD_FAILURE() << "no error, expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(Chain, WithoutLinksTakesTheGreatestTiesToTheLowerId) {
  Chain chain({}, 0);
  EXPECT_EQ(sample(chain, {0, 3, 1, 3}), 1);
  EXPECT_EQ(sample(chain, {-5}), 0);
  EXPECT_EQ(sample(chain, {-kInfinity, -1e30f}), 1);
}

TEST(Chain, WithoutLinksTakesTheGreatestWhereverItStands) {
  Chain greedy({}, 1);
  for (const size_t size : {1, 15, 16, 17, 511, 512, 513, 1100})
    for (const size_t place : {0, 1, 15, 16, 500, 511, 512, 513, 1023, 1024, 1099}) {
      if (place >= size) continue;
      std::vector<float> logits(size, -3.0f);
      logits[place] = logits.back() = -0.0f;
      if (place + 20 < size) logits[place + 20] = 0.0f;  // equal
      EXPECT_EQ(greedy.sample(logits, {}, 0), static_cast<int32_t>(place)) << "of " << size;
    }
}

TEST(Chain, LinksRunInOrderOverCandidatesInOrderOfId) {
  std::vector<int32_t> first, second;
  std::vector<ChainLink> links;
  links.push_back(link(
      "first",
      [](abi::Candidates& candidates, const abi::SampleContext& context) {
        EXPECT_EQ(candidates.size, 3u);
        EXPECT_FALSE(candidates.sorted);
        for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(candidates.data[i].id, static_cast<int32_t>(i));
        EXPECT_EQ(candidates.data[1].logit, -kInfinity);
        EXPECT_THAT(context.history, ElementsAre(1, 2, 3));
        EXPECT_EQ(context.prompt_length, 2u);
        candidates.size = 2;
        return abi::Status{};
      },
      &first));
  links.push_back(link(
      "second",
      [](abi::Candidates& candidates, const abi::SampleContext&) {
        EXPECT_EQ(candidates.size, 2u);
        candidates.size = 1;
        return abi::Status{};
      },
      &second));
  Chain chain(std::move(links), 0);
  EXPECT_EQ(sample(chain, {1, -kInfinity, 9}), 0);
  EXPECT_THAT(first, ElementsAre(0));
  EXPECT_THAT(second, ElementsAre(0));
}

TEST(Chain, LinksThatBreakTheirContractAreNamed) {
  const std::vector<float> logits = {1, 2};
  const auto refuse = [&](Apply apply, const std::string& message) {
    expect_error(one(std::move(apply)), logits, ExitCode::plugin, "sampler fake: " + message);
  };
  using Candidates = abi::Candidates;
  using Context = abi::SampleContext;
  refuse([](Candidates& c, const Context&) { return c.size = 0, abi::Status{}; },
         "left no candidate, expected at least one");
  refuse([](Candidates& c, const Context&) { return c.size = 3, abi::Status{}; },
         "left 3 candidates of 2");
  refuse([](Candidates& c, const Context&) { return c.data[1].logit = kNan, abi::Status{}; },
         "made nan the logit of id 1");
  refuse([](Candidates& c, const Context&) { return c.data[0].logit = kInfinity, abi::Status{}; },
         "made inf the logit of id 0");
  refuse([](Candidates& c, const Context&) { return c.data[0].id = 2, abi::Status{}; },
         "made the id 2, expected 0 to 1");
  refuse([](Candidates& c, const Context&) { return c.data[0].id = -1, abi::Status{}; },
         "made the id -1, expected 0 to 1");
  refuse([](Candidates& c, const Context&) { return ++c.data, --c.size, abi::Status{}; },
         "moved the candidates to another place");
  refuse(
      [](Candidates& c, const Context&) {
        for (abi::Candidate& candidate : c.all()) candidate.logit = -kInfinity;
        return abi::Status{};
      },
      "left nothing but candidates of logit -inf");
  refuse(
      [](Candidates& c, const Context&) {
        return c.data[2] = {0, 0}, abi::Status{};
      },
      "wrote past the candidates that it was given");
  refuse([](Candidates& c, const Context&) { return c.data[-1].id = 1, abi::Status{}; },
         "wrote past the candidates that it was given");
  refuse([](Candidates&,
            const Context&) { return abi::fail(abi::StatusCode::internal, "out of luck"); },
         "out of luck");
}

std::vector<int> count_draws(std::vector<ChainLink> links, const std::vector<float>& logits,
                             int draws) {
  Chain chain(std::move(links), 1);
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i) ++counts[static_cast<size_t>(sample(chain, logits))];
  return counts;
}

TEST(Chain, DrawsFollowTheSoftmax) {
  const std::vector<float> logits = {0, std::log(2.f), std::log(5.f), -kInfinity, std::log(2.f)};
  const std::vector<int> counts = count_draws(one(pass), logits, 100000);
  const std::vector<double> expected = {0.1, 0.2, 0.5, 0, 0.2};
  for (size_t i = 0; i < counts.size(); ++i)
    EXPECT_NEAR(counts[i] / 1e5, expected[i], 4 * std::sqrt(0.25 / 1e5)) << i;
  EXPECT_EQ(counts[3], 0);
}

// Inverse CDF in abi::precedes' order, which several rounds of partial sorting must not disturb.
TEST(Chain, DrawIsTheInverseOfTheCumulativeSum) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = 0.004f * static_cast<float>((i * 619) % logits.size() / 2);  // each value twice
  std::vector<abi::Candidate> order;
  for (size_t i = 0; i < logits.size(); ++i) order.push_back({static_cast<int32_t>(i), logits[i]});
  std::sort(order.begin(), order.end(), abi::precedes);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit});

  Chain chain(one(pass), 5);
  SequenceRandom same(5);
  for (int draw = 0; draw < 300; ++draw) {
    const double target = same.uniform() * sum;
    double reached = 0;
    size_t at = 0;
    while ((reached += std::exp(double{order[at].logit})) <= target) ++at;
    ASSERT_EQ(sample(chain, logits), order[at].id) << draw;
  }
}

TEST(Chain, SameSeedSameIdsWhoeverSorted) {
  const auto sorting = [](abi::Candidates& candidates, const abi::SampleContext&) {
    abi::sort(candidates);
    return abi::Status{};
  };
  std::vector<float> logits(500);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i));
  Chain a(one(pass), 9), b(one(sorting), 9), other(one(pass), 10);
  bool differs = false;
  for (int i = 0; i < 200; ++i) {
    const int32_t id = sample(a, logits);
    EXPECT_EQ(id, sample(b, logits));
    differs |= id != sample(other, logits);
  }
  EXPECT_TRUE(differs);
}

TEST(Chain, AHugeVocabularyAndLogitsFarApartAreFine) {
  std::vector<float> logits(32016, -1e30f);
  logits[32015] = 3e38f;
  Chain chain(one(pass), 0);
  EXPECT_EQ(sample(chain, logits), 32015);
}

TEST(Chain, FailureToAcceptIsAnError) {
  class Refuser final : public abi::Sampler {
   public:
    abi::Status apply(abi::Candidates&, const abi::SampleContext&) noexcept override { return {}; }
    abi::Status accept(int32_t) noexcept override {
      return abi::fail(abi::StatusCode::internal, "not that one");
    }
    void release() noexcept override { delete this; }
  };
  std::vector<ChainLink> links;
  links.push_back({"refuser", Owned<abi::Sampler>(new Refuser)});
  expect_error(std::move(links), {1, 2}, ExitCode::plugin, "sampler refuser: not that one");
}

// What the links left, before the draw that keeps one: its log-probabilities are by hand.
TEST(Chain, KeepsWhatItDrewFrom) {
  const auto first_two = [](abi::Candidates& candidates, const abi::SampleContext&) {
    abi::sort(candidates);
    candidates.size = 2;
    return abi::Status{};
  };
  Chain chain(one(first_two), 7);
  sample(chain, {0, std::log(3.0f), -1, 0});
  EXPECT_TRUE(chain.choices().empty());
  chain.keep_choices();
  const int32_t id = sample(chain, {0, std::log(3.0f), -1, 0});
  const std::vector<IdLogprob> kept = log_probabilities(chain.choices());
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].id, 1);
  EXPECT_NEAR(kept[0].logprob, std::log(0.75), 1e-6);
  EXPECT_EQ(kept[1].id, 0);
  EXPECT_NEAR(kept[1].logprob, std::log(0.25), 1e-6);
  EXPECT_TRUE(id == 0 || id == 1);

  Chain greedy({}, 0);
  greedy.keep_choices();
  EXPECT_EQ(sample(greedy, {1, 3, 2}), 1);
  EXPECT_EQ(log_probabilities(greedy.choices()), (std::vector<IdLogprob>{{1, 0.0}}));
}

TEST(LogProbabilities, LeaveOutWhatIsForbidden) {
  const std::vector<abi::Candidate> candidates = {{4, -kInfinity}, {9, 2}, {3, 2}};
  const std::vector<IdLogprob> made = log_probabilities(candidates);
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(made[0].id, 3);  // ties to the lower id
  EXPECT_NEAR(made[0].logprob, -std::log(2.0), 1e-12);
}

}  // namespace
}  // namespace ropewalk::test
