// Samplers that cut by the shape of the distribution or bend it, and those that choose: closed
// forms.
#include <cmath>

#include "tests/plugins/sampler_test.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;

// Logits of these probabilities, which need not add up to 1.
std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

// Ids that stay of {0.4, 0.3, 0.2, 0.08, 0.02}.
std::vector<int32_t> kept(const std::string& name, const TestOptions& options) {
  return survivors(name, options, logits_of({0.4, 0.3, 0.2, 0.08, 0.02}));
}

TEST(Shape, TopAIsAShareOfTheSquare) {  // 0.16 a
  EXPECT_THAT(kept("top-a", {{"a", 0}}), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(kept("top-a", {{"a", 0.12}}), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(kept("top-a", {{"a", 0.13}}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept("top-a", {{"a", 0.51}}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept("top-a", {{"a", 1}}), ElementsAre(0, 1, 2));
}

// First differences -0.1 -0.1 -0.12 -0.06, second 0 0.02 0.06: shares 0, 0.25, 0.75.
TEST(Shape, TailFreeCutsWhereTheBendingIsDone) {
  EXPECT_THAT(kept("tail-free", {{"z", 1}}), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(kept("tail-free", {{"z", 0.99}}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept("tail-free", {{"z", 0.3}}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept("tail-free", {{"z", 0.2}}), ElementsAre(0, 1));
  EXPECT_THAT(survivors("tail-free", {{"z", 0.5}}, {1, 1, 1, 1}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(survivors("tail-free", {{"z", 0.5}}, {3, 1}), ElementsAre(0, 1));
}

// H = 1.33 nats; surprises 0.92 1.20 1.61 2.53 3.91, so by distance: id 1, 2, 0, 3, 4.
TEST(Shape, TypicalKeepsTheExpectedSurprise) {
  EXPECT_THAT(kept("typical", {{"p", 0.2}}), ElementsAre(1));
  EXPECT_THAT(kept("typical", {{"p", 0.35}}), ElementsAre(1, 2));
  EXPECT_THAT(kept("typical", {{"p", 0.6}}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept("typical", {{"p", 0.95}}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept("typical", {{"p", 1}}), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Shape, EpsilonAndEtaAreLeastProbabilities) {
  EXPECT_THAT(kept("epsilon", {{"epsilon", 0.05}}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept("epsilon", {{"epsilon", 0.35}}), ElementsAre(0));
  EXPECT_THAT(kept("epsilon", {{"epsilon", 0.9}}), ElementsAre(0));
  // H = 1.3299: sqrt(0.1) e^-H = 0.0836, sqrt(0.09) e^-H = 0.0793; sqrt(0.0036) e^-H is above
  // 0.0036.
  EXPECT_THAT(kept("eta", {{"epsilon", 0.1}}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept("eta", {{"epsilon", 0.09}}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept("eta", {{"epsilon", 0.0036}}), ElementsAre(0, 1, 2, 3, 4));
}

// Mean 3, squares 4 + 1 + 0 + 1 + 4, sigma = sqrt(2), whatever lies at -inf.
TEST(Shape, TopNSigmaCountsDeviationsOfFiniteLogits) {
  const auto within = [](double n) {
    return survivors("top-n-sigma", {{"n", n}}, {1, 2, 3, 4, 5, -kInfinity});
  };
  EXPECT_THAT(within(0.7), ElementsAre(4));
  EXPECT_THAT(within(0.71), ElementsAre(3, 4));
  EXPECT_THAT(within(1.5), ElementsAre(2, 3, 4));
  EXPECT_THAT(within(3), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(within(0), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(survivors("top-n-sigma", {{"n", 1}}, {7, 7}), ElementsAre(0, 1));
}

struct Xtc {
  std::vector<int32_t> ids;
  int asked;
};

Xtc xtc(double random_number, const TestOptions& options, const std::vector<float>& logits) {
  Row row(logits);
  FixedRandom random(random_number);
  row.run(*make("xtc", options), {{}, 0, &random});
  return {row.ids(), random.asked};
}

TEST(Shape, XtcExcludesTopChoicesButTheLeast) {
  const auto logits = logits_of({0.4, 0.3, 0.2, 0.08, 0.02});
  const TestOptions always = {{"probability", 1}};
  EXPECT_THAT(xtc(0.99, always, logits).ids, ElementsAre(2, 3, 4));
  EXPECT_THAT(xtc(0, {{"probability", 1}, {"threshold", 0.25}}, logits).ids,
              ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(xtc(0, {{"probability", 1}, {"threshold", 0.35}}, logits).ids,
              ElementsAre(0, 1, 2, 3, 4));  // only one is that likely
  EXPECT_THAT(xtc(0, {{"probability", 1}, {"threshold", 0.51}}, logits).ids,
              ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(xtc(0.5, {{"probability", 0.5}}, logits).ids, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(xtc(0.49, {{"probability", 0.5}}, logits).ids, ElementsAre(2, 3, 4));
  EXPECT_EQ(xtc(0, always, logits).asked, 1);
  EXPECT_EQ(xtc(0, {{"probability", 0}}, logits).asked, 0);
}

TEST(Shape, XtcLetsAReplyEnd) {
  std::vector<float> logits(64, -kInfinity);
  logits['0'] = std::log(0.3f);
  logits['1'] = std::log(0.2f);
  const TestOptions always = {{"probability", 1}};
  logits[ByteHost::kEnd] = std::log(0.4f);
  EXPECT_EQ(xtc(0, always, logits).ids.size(), 64u);
  logits[ByteHost::kEnd] = std::log(0.12f);  // the last of the top choices, so it would stay
  EXPECT_EQ(xtc(0, always, logits).ids.size(), 62u);
  logits[ByteHost::kEnd] = -kInfinity;
  logits['\n'] = std::log(0.4f);
  EXPECT_EQ(xtc(0, always, logits).ids.size(), 64u);
  EXPECT_EQ(xtc(0, {{"probability", 1}, {"spare", {"2"}}}, logits).ids.size(), 62u);
}

float logit_after(const std::string& name, const TestOptions& options,
                  const std::vector<float>& logits, int32_t id) {
  Row row(logits);
  row.run_after({}, *make(name, options));
  return row.logits().at(id);
}

TEST(Shape, DynamicTemperatureFollowsTheEntropy) {
  const TestOptions range = {{"low", 0.5}, {"high", 2}};
  EXPECT_FLOAT_EQ(logit_after("dynamic-temperature", range, {3, 3, 3}, 1), 1.5f);   // all alike
  EXPECT_FLOAT_EQ(logit_after("dynamic-temperature", range, {300, 0, 0}, 0), 600);  // sure
  EXPECT_FLOAT_EQ(logit_after("dynamic-temperature", range, {3, -kInfinity}, 0), 6);
  // Two of three equally likely: H / ln 3 = ln 2 / ln 3 = 0.63093.
  const std::vector<float> two = {0, 0, -200, -kInfinity};
  const double relative = std::log(2.0) / std::log(3.0);
  EXPECT_NEAR(logit_after("dynamic-temperature", range, two, 2), -200 / (0.5 + 1.5 * relative),
              1e-3);
  EXPECT_NEAR(
      logit_after("dynamic-temperature", {{"low", 0.5}, {"high", 2}, {"exponent", 2}}, two, 2),
      -200 / (0.5 + 1.5 * relative * relative), 1e-3);
}

TEST(Shape, QuadraticBendsByTheDistance) {
  const std::vector<float> logits = {5, 3, 1, -kInfinity};
  // curve 1: k = 1, s = 0.
  EXPECT_FLOAT_EQ(logit_after("quadratic", {{"factor", 0.5}}, logits, 0), 5);
  EXPECT_FLOAT_EQ(logit_after("quadratic", {{"factor", 0.5}}, logits, 1), 5 - 0.5f * 4);
  EXPECT_FLOAT_EQ(logit_after("quadratic", {{"factor", 0.5}}, logits, 2), 5 - 0.5f * 16);
  EXPECT_EQ(logit_after("quadratic", {{"factor", 0.5}}, logits, 3), -kInfinity);
  // curve 2: k = 0.5, s = 0.5.
  EXPECT_FLOAT_EQ(logit_after("quadratic", {{"factor", 0.5}, {"curve", 2}}, logits, 2),
                  5 - 0.25f * 16 - 0.25f * 64);
  EXPECT_FLOAT_EQ(logit_after("quadratic", {{"factor", 0}}, logits, 2), 1);
}

TEST(Shape, GreedyTakesTheLowerOfEqualIds) {
  EXPECT_THAT(survivors("greedy", {}, {1, 7, 3, 7}), ElementsAre(1));
  EXPECT_THAT(survivors("greedy", {}, {-kInfinity, -5}), ElementsAre(1));
}

std::vector<int32_t> drawn(abi::Sampler& sampler, const std::vector<float>& logits, double number) {
  Row row(logits);
  FixedRandom random(number);
  row.run(sampler, {{}, 0, &random});
  EXPECT_EQ(random.asked, 1);
  EXPECT_TRUE(sampler.accept(row.live.data->id).ok());
  return row.ids();
}

TEST(Shape, DrawIsTheInverseOfTheCumulativeSum) {
  const auto sampler = make("draw", {});
  const auto logits = logits_of({0.2, 0.5, 0.3});
  EXPECT_THAT(drawn(*sampler, logits, 0), ElementsAre(1));
  EXPECT_THAT(drawn(*sampler, logits, 0.49), ElementsAre(1));
  EXPECT_THAT(drawn(*sampler, logits, 0.51), ElementsAre(2));
  EXPECT_THAT(drawn(*sampler, logits, 0.79), ElementsAre(2));
  EXPECT_THAT(drawn(*sampler, logits, 0.9999), ElementsAre(0));
}

// By hand, tau 1.1 and eta 0.5. Surprises are 1, 2, 3, 3 bits; mu = 2.2 lets ids 0 and 1 in, which
// then have 2/3 and 1/3, that is 0.585 and 1.585 bits.
TEST(Shape, MirostatTwoMovesItsLimit) {
  const auto logits = logits_of({0.5, 0.25, 0.125, 0.125});
  const auto sampler = make("mirostat", {{"version", 2}, {"tau", 1.1}, {"eta", 0.5}});
  const std::pair<double, int32_t> draws[] = {
      {0.99, 1},  // mu 1.9575: only id 0, of no surprise
      {0.99, 0},  // mu 2.5075
      {0.99, 1},  // mu 2.265
      {0.99, 1},  // mu 2.0225
      {0.99, 1},  // mu 1.78
      {0.99, 0},  // mu 2.33
      {0, 0},     // mu 2.5875
      {0, 0},     // mu 2.845
      {0, 0},     // mu 3.1025: now all are in
      {0.9, 3},
  };
  for (const auto& [number, id] : draws)
    EXPECT_THAT(drawn(*sampler, logits, number), ElementsAre(id));
}

// Zipf's law with the exponent s gives the estimate s back, and k as the formula says.
TEST(Shape, MirostatOneIsZipfs) {
  const double s = 1.5;
  std::vector<float> logits;
  for (int i = 0; i < 400; ++i) logits.push_back(static_cast<float>(-s * std::log(i + 1.0)));
  const double mu = 2 * 2.0, epsilon = s - 1;
  const double k =
      std::pow(epsilon * std::exp2(mu) / (1 - std::pow(400.0, -epsilon)), 1 / s);  // 4.11
  const auto sampler = make("mirostat", {{"version", 1}, {"tau", 2}, {"eta", 0}});
  EXPECT_THAT(drawn(*sampler, logits, 0.99999), ElementsAre(static_cast<int32_t>(k) - 1));
  // One candidate far above the rest: s is large, and one stays.
  std::vector<float> sure(400, -50);
  sure[7] = 50;
  EXPECT_THAT(drawn(*sampler, sure, 0.99999), ElementsAre(7));
  // All alike: nothing falls, so all stay.
  EXPECT_THAT(drawn(*sampler, std::vector<float>(400, 1), 0.99999), ElementsAre(399));
}

// In bits, over many tokens from Zipf's law; before cutting, so a little above tau.
double mean_surprise(int version, double tau) {
  std::vector<float> logits;
  for (int i = 0; i < 400; ++i) logits.push_back(static_cast<float>(-1.2 * std::log(i + 1.0)));
  const abi::SoftmaxScale scale = abi::softmax_scale(Row(logits).live);
  const auto sampler = make("mirostat", {{"version", version}, {"tau", tau}, {"eta", 0.2}});
  uint64_t state = 1;
  double sum = 0;
  constexpr int kTokens = 2000;
  for (int i = 0; i < kTokens; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double number = static_cast<double>(state >> 11) * 0x1p-53;
    const auto id = static_cast<size_t>(drawn(*sampler, logits, number)[0]);
    sum -= scale.log_probability(logits[id]) / std::log(2.0);
  }
  return sum / kTokens;
}

TEST(Shape, MirostatComesToItsTarget) {
  for (const int version : {1, 2})
    for (const double tau : {2.0, 3.0, 4.0})
      EXPECT_NEAR(mean_surprise(version, tau), tau + 0.6, 0.5) << version << " " << tau;
}

}  // namespace
}  // namespace ropewalk::test
