// The folded graph against the unfolded one, its oracle: the same numbers, whatever was folded.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/eval/score.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

struct Case {
  const char* variant;
  bool folds_completely;
};

class ModelFolding : public testing::TestWithParam<Case> {};

TEST_P(ModelFolding, ChangesNoLogProbability) {
  const Json expected = expected_of(GetParam().variant);
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  RuntimeSettings settings = fixture_settings(fixture_config(GetParam().variant, expected));

  FixtureModel folded(GetParam().variant, settings);
  settings.folding = ropewalk::Folding::keep_permutes;
  FixtureModel plain(GetParam().variant, settings);
  const FoldReport& report = folded.runtime.model().folding();
  ASSERT_GT(report.permutes_before, 0u) << "the variant has no act-order";
  ASSERT_LT(report.permutes_after, report.permutes_before);
  EXPECT_EQ(report.permutes_after == 0, GetParam().folds_completely);

  const auto a = score(folded.runtime, ids, nullptr).logprobs;
  const auto b = score(plain.runtime, ids, nullptr).logprobs;
  ASSERT_EQ(a.size(), b.size());
  // A permutation moves numbers and changes none; only the norm's sum is over the same row as
  // before.
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], b[i]) << "token " << i + 1;
}

std::string test_name(const testing::TestParamInfo<Case>& test) {
  std::string name = test.param.variant;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ModelFolding,
                         testing::Values(Case{"gptq-b4-g32-act", true},
                                         Case{"gptq-b4-airophin", true},
                                         Case{"gptq-b4-g128-act-gqa", true},
                                         Case{"gptq-b4-act-apart", false},
                                         Case{"gptq-autogptq-b4-g32-act", true}),
                         test_name);

}  // namespace
}  // namespace ropewalk::test
