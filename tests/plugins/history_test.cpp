// Samplers that look at the history, or at tokens by name.
#include <cmath>
#include <utility>

#include "tests/plugins/sampler_test.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Samplers, RepetitionPenaltyTouchesEachTokenOnceWithinItsRange) {
  const std::vector<float> logits = {3, -3, 3, 3, -kInfinity};
  const std::vector<int32_t> history = {2, 1, 1, 0, 0, 4, 99, -1};
  const auto penalised = [&](int range) {
    Row row(logits);
    row.run_after(history, *make("repetition-penalty", {{"penalty", 1.5}, {"range", range}}));
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
  row.run_after({0, 3, 3, 4, 1, 1, 4}, *make("repetition-penalty", {{"penalty", 2}}));
  EXPECT_EQ(row.logits(), (std::map<int32_t, float>{{1, 1}, {2, 3}, {3, 2}, {4, 2.5}, {5, 6}}));
}

// A sampler serves many tokens: what it marked for one must not penalise at the next.
TEST(Samplers, RepetitionPenaltyForgetsWhatLeftItsRange) {
  const auto sampler = make("repetition-penalty", {{"penalty", 2}, {"range", 1}});
  for (int32_t latest = 0; latest < 3; ++latest) {
    Row row({8, 8, 8});
    row.run_after({latest}, *sampler);
    for (const auto& [id, logit] : row.logits()) EXPECT_EQ(logit, id == latest ? 4 : 8);
  }
}

// exllama's rep_penalty_cpu, by hand: whole up to the age `range`, then down to 1 over `decay`.
TEST(Samplers, RepetitionPenaltyFadesAsExllamas) {
  Row row(std::vector<float>(10, 12));
  row.run_after({0, 1, 2, 3, 4, 5, 6, 7},
                *make("repetition-penalty", {{"penalty", 2}, {"range", 2}, {"decay", 4}}));
  const auto logits = row.logits();
  EXPECT_FLOAT_EQ(logits.at(7), 6);           // age 0
  EXPECT_FLOAT_EQ(logits.at(5), 6);           // age 2
  EXPECT_FLOAT_EQ(logits.at(4), 12 / 1.75f);  // age 3
  EXPECT_FLOAT_EQ(logits.at(2), 12 / 1.25f);  // age 5, the last of range + decay
  EXPECT_FLOAT_EQ(logits.at(1), 12);          // outside
  EXPECT_FLOAT_EQ(logits.at(9), 12);          // never there
}

// The latest occurrence of a token counts.
TEST(Samplers, FadingPenaltyIsThatOfTheLatestPlace) {
  Row row({12, 12});
  row.run_after({0, 1, 0},
                *make("repetition-penalty", {{"penalty", 3}, {"range", 1}, {"decay", 4}}));
  EXPECT_FLOAT_EQ(row.logits().at(0), 4);
}

TEST(Samplers, FrequencyCountsAndPresenceDoesNot) {
  const std::vector<int32_t> history = {1, 1, 1, 2, 2, 3};
  const auto logits = [&](const TestOptions& options) {
    Row row(std::vector<float>(5, 10));
    FixedRandom random(0);
    row.run(*make("frequency-presence", options), {history, 2, &random});
    return row.logits();
  };
  using Logits = std::map<int32_t, float>;
  // In the reply alone: 1 once, 2 twice, 3 once.
  EXPECT_EQ(logits({{"frequency", 0.5}, {"presence", 2}}),
            (Logits{{0, 10}, {1, 7.5}, {2, 7}, {3, 7.5}, {4, 10}}));
  EXPECT_EQ(logits({{"frequency", 0.5}, {"presence", 2}, {"scope", "all"}}),
            (Logits{{0, 10}, {1, 6.5}, {2, 7}, {3, 7.5}, {4, 10}}));
  EXPECT_EQ(logits({{"presence", 2}, {"scope", "all"}, {"range", 2}}),
            (Logits{{0, 10}, {1, 10}, {2, 8}, {3, 8}, {4, 10}}));
  EXPECT_EQ(logits({{"frequency", -1}}), (Logits{{0, 10}, {1, 11}, {2, 12}, {3, 11}, {4, 10}}));
}

std::string refusal_of_options(const std::string& name, const TestOptions& options) {
  try {
    make(name, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Samplers, WrongOptionsAreRefusedInWords) {
  EXPECT_THAT(refusal_of_options("frequency-presence", {{"scope", "some"}}),
              HasSubstr("scope is some, expected generated or all"));
  EXPECT_THAT(refusal_of_options("logit-bias", {{"ids", {1, 2}}, {"bias", {1, 2, 3}}}),
              HasSubstr("bias has 3 numbers, expected 1 or 2, one for each id"));
  EXPECT_THAT(refusal_of_options("logit-bias", {{"ids", {400}}}),
              HasSubstr("400 is no token id, expected 0 to 399"));
  EXPECT_THAT(refusal_of_options("ban-tokens", {{"ids", {1.5}}}),
              HasSubstr("ids: 1.5 is no token id"));
  EXPECT_THAT(refusal_of_options("dynamic-temperature", {{"low", 2}, {"high", 1}}),
              HasSubstr("low is above high"));
}

TEST(Samplers, NoRepeatNgramBansWhatWouldCompleteOne) {
  const auto kept = [](int size, const std::vector<int32_t>& history) {
    Row row({1, 1, 1, 1});
    row.run_after(history, *make("no-repeat-ngram", {{"size", size}}));
    return row.ids();
  };
  EXPECT_THAT(kept(0, {1, 2, 1}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(1, {1, 2, 1}), ElementsAre(0, 3));
  EXPECT_THAT(kept(2, {1, 2, 1}), ElementsAre(0, 1, 3));
  EXPECT_THAT(kept(3, {1, 2, 3, 1, 2}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept(4, {1, 2, 3, 1, 2}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(9, {1}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept(1, {0, 1, 2, 3}), ElementsAre(0));  // all are banned: the largest stays
}

TEST(Samplers, BannedTextsOfSeveralTokensLoseTheirLast) {
  const auto banned = [](const std::string& history) {
    Row row(std::vector<float>(128, 1));
    row.run_after(ids_of(history), *make("ban-tokens", {{"texts", {"xyz", "q"}}}));
    std::string gone;
    const auto ids = row.ids();
    for (int32_t id = 0; id < 128; ++id)
      if (!std::binary_search(ids.begin(), ids.end(), id)) gone += static_cast<char>(id);
    return gone;
  };
  EXPECT_EQ(banned(""), "q");
  EXPECT_EQ(banned("wx"), "q");
  EXPECT_EQ(banned("wxy"), "qz");
  EXPECT_EQ(banned("yx"), "q");
}

// At the top of a chain a candidate's place is its id, behind another link it is not.
TEST(Samplers, BannedIdsGoWhereverTheyStand) {
  std::vector<float> logits;
  std::map<int32_t, float> left;
  for (int32_t id = 0; id < 40; ++id) {
    logits.push_back(static_cast<float>(id % 5));
    if (id != 0 && id != 3 && id != 7 && id < 38) left[id] = logits.back();
  }
  Row row(logits);
  row.run_after({}, *make("ban-tokens", {{"ids", {39, 0, 7, 7}}}));
  row.run_after({}, *make("ban-tokens", {{"ids", {3, 38}}}));
  EXPECT_EQ(row.logits(), left);
}

TEST(Samplers, EndsCanBeBannedAndPutOff) {
  const std::vector<float> logits(40, 1);
  const auto has_end = [](const Row& row) {
    const auto ids = row.ids();
    return std::binary_search(ids.begin(), ids.end(), ByteHost::kEnd);
  };
  Row row(logits);
  row.run_after({}, *make("ban-tokens", {{"end", true}}));
  EXPECT_FALSE(has_end(row));
  const auto sampler = make("min-length", {{"tokens", 2}});
  for (uint32_t generated = 0; generated < 4; ++generated) {
    const std::vector<int32_t> history(3 + generated);
    Row next(logits);
    FixedRandom random(0);
    next.run(*sampler, {history, 3, &random});
    EXPECT_EQ(has_end(next), generated >= 2) << generated;
  }
}

TEST(Samplers, LogitBiasAdds) {
  Row row({1, 2, -kInfinity, 4});
  row.run_after({}, *make("logit-bias", {{"ids", {0, 2, 3}}, {"bias", {5, 5, -1}}}));
  EXPECT_EQ(row.logits(), (std::map<int32_t, float>{{0, 6}, {1, 2}, {2, -kInfinity}, {3, 3}}));
}

// The penalties after a text, by the next token's character.
std::map<char, float> dry(const std::string& text, const TestOptions& options) {
  Row row(std::vector<float>(128, 100));
  row.run_after(ids_of(text), *make("dry", options));
  std::map<char, float> lost;
  for (const auto& [id, logit] : row.logits())
    if (logit != 100) lost[static_cast<char>(id)] = 100 - logit;
  return lost;
}

using Lost = std::map<char, float>;

TEST(Samplers, DryCostsByTheLengthOfTheRepetition) {
  const TestOptions plain = {{"multiplier", 1}, {"base", 2}};
  EXPECT_EQ(dry("abc", plain), Lost{});
  EXPECT_EQ(dry("abca", plain), Lost{});                 // one token is allowed
  EXPECT_EQ(dry("abcab", plain), (Lost{{'c', 1}}));      // 2^0
  EXPECT_EQ(dry("abcdabc", plain), (Lost{{'d', 2}}));    // 2^1
  EXPECT_EQ(dry("abcdeabcd", plain), (Lost{{'e', 4}}));  // 2^2
  // The longest counts, for each next token: "ab" before c, "xab" before d.
  EXPECT_EQ(dry("abc xabd xab", plain), (Lost{{'c', 1}, {'d', 4}}));
  EXPECT_EQ(dry("aaaa", plain), (Lost{{'a', 2}}));  // overlapping itself: 3 of the 4
  EXPECT_EQ(dry("abcabc", {{"multiplier", 0.5}, {"base", 3}, {"allowed_length", 1}}),
            (Lost{{'a', 4.5f}}));  // 0.5 * 3^2
  EXPECT_EQ(dry("abcdabc", {{"multiplier", 0}}), Lost{});
}

TEST(Samplers, DryDoesNotReachAcrossBreakers) {
  const auto with = [](const std::vector<std::string>& breakers) {
    return TestOptions{{"multiplier", 1}, {"base", 2}, {"breakers", breakers}};
  };
  EXPECT_EQ(dry("ab-cdX ab-cd", with({"?"})), (Lost{{'X', 8}}));  // "ab-cd": 5 tokens
  EXPECT_EQ(dry("ab-cdX ab-cd", with({"-"})), (Lost{{'X', 1}}));  // "cd"
  EXPECT_EQ(dry("ab-cdX ab-cd", with({"b-c"})), Lost{});          // "d" alone is left
  EXPECT_EQ(dry("ab-cdX ab-cd", with({"a-c"})), (Lost{{'X', 8}}));
  EXPECT_EQ(dry("abX abX ab", with({"X"})), Lost{});   // a breaker never loses
  EXPECT_EQ(dry("ab:", {{"multiplier", 1}}), Lost{});  // ':' is one by default
  EXPECT_EQ(dry("ab\nab\n", {{"multiplier", 1}}), Lost{});
}

TEST(Samplers, DryLooksNoFurtherThanItsRange) {
  const std::string text = "abcd....abc";
  EXPECT_EQ(dry(text, {{"multiplier", 1}, {"base", 2}, {"range", 11}}), (Lost{{'d', 2}}));
  EXPECT_EQ(dry(text, {{"multiplier", 1}, {"base", 2}, {"range", 10}}), (Lost{{'d', 1}}));
  EXPECT_EQ(dry(text, {{"multiplier", 1}, {"base", 2}, {"range", 5}}), Lost{});
}

// The Z function against its definition, on texts with many repetitions; and a penalty that
// would overflow stays a number.
TEST(Samplers, DryIsTheQuadraticDefinition) {
  uint32_t state = 1;
  for (int round = 0; round < 200; ++round) {
    std::string text;
    const uint32_t letters = 1 + static_cast<uint32_t>(round) % 4;
    for (int i = 0; i < 40; ++i) {
      state = state * 1664525 + 1013904223;
      text += static_cast<char>('a' + (state >> 16) % letters);
    }
    Lost expected;
    for (size_t end = 1; end < text.size(); ++end) {  // a match that ends before text[end]
      size_t length = 0;
      while (length < end && text[end - 1 - length] == text[text.size() - 1 - length]) ++length;
      if (length < 2) continue;
      const auto lost = static_cast<float>(0.125 * std::pow(1.25, length - 2));
      expected[text[end]] = std::max(expected[text[end]], lost);
    }
    const Lost found = dry(text, {{"multiplier", 0.125}, {"base", 1.25}});
    ASSERT_EQ(found.size(), expected.size()) << text;
    for (const auto& [next, lost] : expected)
      ASSERT_NEAR(found.at(next), lost, 1e-5 * lost + 1e-5) << text;
  }
  Row row({5, 5});
  row.run_after(std::vector<int32_t>(5000), *make("dry", {{"base", 100}}));
  EXPECT_EQ(row.logits().at(0), -std::numeric_limits<float>::max());
}

}  // namespace
}  // namespace ropewalk::test
