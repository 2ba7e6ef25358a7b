// Traces of whole models on every backend: a timed step computes the same bits, and its groups'
// times are those of a clock that runs as the host's does.
#include <gtest/gtest.h>

#include "tests/end_to_end/backends.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

class StepTiming : public testing::TestWithParam<TestBackend> {
 protected:
  void SetUp() override {
    const std::string reason = GetParam().name == "cuda" ? why_missing(GetParam()) : "";
    if (!reason.empty()) GTEST_SKIP() << reason;
  }

  Json traced(const std::vector<int32_t>& ids) {
    FixtureModel model(kActOrderFixture, fixture_settings(config_of(GetParam(), kActOrderFixture)));
    TraceFile file(folder_.path() / "trace.json");
    model.runtime.trace_to(file, {});
    logprobs_ = score(model.runtime, ids, nullptr).logprobs;
    for (const OwnedClaim& group : model.runtime.model().steps()) groups_ += !group.nodes.empty();
    return Json::parse(read_file(folder_.path() / "trace.json"))["traceEvents"];
  }

  TemporaryFolder folder_;
  std::vector<double> logprobs_;
  size_t groups_ = 0;  // of a step
};

TEST_P(StepTiming, GroupsOfAStepTakeNoLongerThanTheStep) {
  const std::vector<int32_t> ids = ids_of(kActOrderFixture);
  const Json events = traced(ids);
  EXPECT_EQ(logprobs_, logprobs_of(kActOrderFixture, config_of(GetParam(), kActOrderFixture), ids));
  double group_us = 0, step_us = 0, end = 0;
  size_t groups = 0, steps = 0;
  for (const Json& event : events) {
    if (event["ph"] == "M") continue;
    const double begin = event["ts"].get<double>(), duration = event["dur"].get<double>();
    EXPECT_GE(duration, 0);
    if (event["tid"] == 1) {
      step_us += duration;
      ++steps;
      continue;
    }
    EXPECT_GE(begin, end - 1e-6) << event["name"];  // one after another
    end = begin + duration;
    group_us += duration;
    ++groups;
  }
  ASSERT_GT(steps, 0u);
  EXPECT_EQ(groups, steps * groups_);
  EXPECT_LT(group_us, step_us);
  EXPECT_GT(group_us, 0.1 * step_us);
}

INSTANTIATE_TEST_SUITE_P(Models, StepTiming, testing::ValuesIn(test_backends()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace ropewalk::test
