// Every checkpoint of tests/fixtures/models against transformers' answers
// (tests/fixtures/README.md): log-probabilities within 1e-3, greedy ids equal (their top-2 gaps are
// all above 0.02).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/eval/score.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

std::vector<std::string> variants() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(models_folder())) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Models : public testing::TestWithParam<std::string> {};

std::vector<int32_t> greedy(Runtime& runtime, const std::vector<int32_t>& prompt, size_t count) {
  Sequence sequence(runtime.cache());
  std::vector<int32_t> ids = prompt, fresh = prompt;
  while (ids.size() < prompt.size() + count) {
    const Chunk chunk{&sequence, fresh, Wanted::last, static_cast<uint32_t>(ids.size())};
    const auto logits = runtime.executor().run({&chunk, 1});
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    fresh = {static_cast<int32_t>(best)};
    ids.push_back(fresh[0]);
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(prompt.size()), ids.end()};
}

TEST_P(Models, AgreesWithTransformers) {
  const Json expected = expected_of(GetParam());
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  FixtureModel model(GetParam(), fixture_settings(fixture_config(GetParam(), expected)));

  const Score result = score(model.runtime, ids, nullptr);
  ASSERT_EQ(result.logprobs.size(), ids.size() - 1);
  for (size_t i = 1; i < ids.size(); ++i) {
    EXPECT_NEAR(result.logprobs[i - 1], expected["logprobs"][i].get<double>(), 1e-3)
        << "token " << i;
  }
  const auto want = expected["greedy"].get<std::vector<int32_t>>();
  EXPECT_EQ(greedy(model.runtime, ids, want.size()), want);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Models, testing::ValuesIn(variants()), [](const auto& variant) {
  std::string name = variant.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(ModelFixtures, AreAtLeastAsManyAsPromised) { EXPECT_GE(variants().size(), 24u); }

}  // namespace
}  // namespace ropewalk::test
