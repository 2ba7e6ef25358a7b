#include "core/eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/eval/score.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

TEST(PerplexitySum, IsTheMeanWithItsStandardError) {
  PerplexitySum sum;
  for (const double logprob : {-1.0, -2.0, -3.0, -6.0}) sum.add(logprob);
  const Perplexity result = sum.result();
  EXPECT_EQ(result.tokens, 4u);
  EXPECT_DOUBLE_EQ(result.nll, 3.0);
  // Sample variance of 1 2 3 6 is 14/3; of the mean a quarter of it.
  EXPECT_DOUBLE_EQ(result.deviation, std::sqrt(14.0 / 3 / 4));
  EXPECT_DOUBLE_EQ(result.value(), std::exp(3.0));
  EXPECT_DOUBLE_EQ(result.standard_error(), std::exp(3.0) * std::sqrt(14.0 / 12));
}

// Windows side by side, cut at the first scored token, against each alone in one piece.
TEST(ScoreWindows, SideBySideIsTheSameAsAlone) {
  const std::string variant = "gptq-b4-airophin";
  const Json expected = expected_of(variant);
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  RuntimeSettings settings = fixture_settings(fixture_config(variant, expected));
  settings.max_sequences = 3;
  settings.max_wanted = 5;
  FixtureModel model(variant, settings);

  std::vector<ScoredWindow> windows;
  for (uint32_t i = 0; i < 7; ++i) {
    const auto begin = ids.begin() + i;
    windows.push_back({{begin, begin + 20 + i}, i % 2 ? 1u : 9u + i});
  }
  std::vector<std::vector<double>> together;
  uint64_t done = 0, total = 0;
  WindowEvents events;
  events.scores = [&](size_t w, std::span<const double> logprobs) {
    ASSERT_EQ(w, together.size());
    together.emplace_back(logprobs.begin(), logprobs.end());
  };
  events.progress = [&](uint64_t now, uint64_t all) {
    EXPECT_GT(now, done);
    done = now, total = all;
  };
  score_windows(model.runtime, windows, events);
  EXPECT_EQ(done, 7u * 20 + 21 - 7);  // 20 to 26 tokens; the last one is not run
  EXPECT_EQ(total, done);
  ASSERT_EQ(together.size(), windows.size());
  for (size_t w = 0; w < windows.size(); ++w) {
    const auto alone = score(model.runtime, windows[w].ids, nullptr).logprobs;
    ASSERT_EQ(together[w].size(), windows[w].ids.size() - windows[w].scored);
    for (size_t i = 0; i < together[w].size(); ++i) {
      EXPECT_EQ(together[w][i], alone[windows[w].scored - 1 + i])
          << "window " << w << ", token " << i;
    }
  }
}

TEST(FillWindows, PutsBosWhereTheProtocolWantsIt) {
  const std::vector<int32_t> text = {10, 11, 12, 13, 14, 15};
  const std::vector<Window> windows = {{0, 3, 1, false}, {3, 3, 2, true}};
  const auto filled = fill_windows(windows, text, 1);
  EXPECT_EQ(filled[0].ids, (std::vector<int32_t>{10, 11, 12}));
  EXPECT_EQ(filled[1].ids, (std::vector<int32_t>{1, 14, 15}));
  EXPECT_EQ(filled[1].scored, 2u);
  // A model whose texts have none keeps its windows.
  EXPECT_EQ(fill_windows(windows, text, -1)[1].ids, (std::vector<int32_t>{13, 14, 15}));
}

}  // namespace
}  // namespace ropewalk::test
