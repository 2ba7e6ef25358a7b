// What a trace says of a step, on a device whose groups take a microsecond each.
#include "core/exec/step_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json/json.h"
#include "tests/error_of.h"
#include "tests/exec/rig.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

// 1 GB/s is a byte a nanosecond, 0.0005 TFLOP/s is half an operation.
constexpr Ceiling kCeiling{.read_gbs = 1, .copy_gbs = 1, .tflops = 0.0005};

class Trace : public testing::Test {
 protected:
  // Two tokens of a prompt, of which the last one's logits are wanted.
  void run_prompt() {
    Sequence sequence(rig_.cache);
    rig_.executor.run_one({&sequence, tokens_, Wanted::last, 2});
  }
  void trace_with(const Ceiling& ceiling) {
    trace_.emplace(rig_.device, rig_.model, ceiling, file_);
    rig_.executor.trace_to(*trace_);
  }
  // The slices of a track, in the order of the file.
  std::vector<Json> slices(int track) const {
    const Json trace = Json::parse(read_file(path_));
    std::vector<Json> found;
    for (const Json& event : trace["traceEvents"])
      if (event["ph"] == "X" && event["tid"] == track) found.push_back(event);
    return found;
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "trace.json";
  TraceFile file_{path_};
  Rig rig_{false};
  const std::vector<int32_t> tokens_ = {1, 2};
  std::optional<StepTrace> trace_;
};

TEST_F(Trace, EachGroupHasItsTimeBytesAndShareOfTheCeiling) {
  trace_with(kCeiling);
  run_prompt();
  const std::vector<Json> groups = slices(2);
  ASSERT_EQ(groups.size(), rig_.model.graph().nodes.size());
  // A table (64, 32) in f16, x (2, 32) in f32.
  const Json& embed = groups.front();
  EXPECT_EQ(embed["name"], rig_.model.graph().nodes.front().name);
  EXPECT_EQ(embed["cat"], "embed");
  EXPECT_EQ(embed["dur"], 1.0);
  EXPECT_EQ(embed["args"], Json::parse(R"({"bytes":384,"flop":0,"gbs":0.384,"of_ceiling":0.384})"));
  // One row of (1, 32) by (32, 64), packed into 4096 bytes: arithmetic takes longer than reading.
  const Json& head = groups.back();
  EXPECT_EQ(head["cat"], "matmul");
  EXPECT_EQ(head["args"],
            Json::parse(R"({"bytes":4480,"flop":4096,"gbs":4.48,"of_ceiling":8.192})"));
}

TEST_F(Trace, GroupsFollowOneAnotherFromTheBeginOfTheirStep) {
  trace_with(kCeiling);
  run_prompt();
  run_prompt();
  const std::vector<Json> steps = slices(1), groups = slices(2);
  ASSERT_EQ(steps.size(), 2u);
  const size_t each = groups.size() / 2;
  for (size_t i = 0; i < groups.size(); ++i)
    EXPECT_NEAR(groups[i]["ts"].get<double>(),
                steps[i / each]["ts"].get<double>() + static_cast<double>(i % each), 1e-6);
}

TEST_F(Trace, AStepSaysWhatWasInIt) {
  trace_with(kCeiling);
  run_prompt();
  const Json step = slices(1).at(0);
  EXPECT_EQ(step["name"], "step 0");
  EXPECT_EQ(step["args"]["rows"], 2);
  EXPECT_EQ(step["args"]["prompt_rows"], 2);
  EXPECT_EQ(step["args"]["sequences"], 1);
  EXPECT_EQ(step["args"]["wanted"], 1);
  EXPECT_EQ(step["args"]["keys"], 2);
  double bytes = 0, flop = 0;
  for (const Json& group : slices(2)) {
    bytes += group["args"]["bytes"].get<double>();
    flop += group["args"]["flop"].get<double>();
  }
  EXPECT_EQ(step["args"]["bytes"], bytes);
  EXPECT_EQ(step["args"]["flop"], flop);
  // Matrices of 32 x 32 in the layer, the head, and 3 pairs of a row and a key that it sees.
  EXPECT_EQ(flop, 2 * (7 * 2.0 * 32 * 32) + 2.0 * 32 * 64 + 3 * 4.0 * 32);
}

TEST_F(Trace, WithoutACeilingThereIsNoShareOfIt) {
  trace_with({});
  run_prompt();
  EXPECT_EQ(slices(2).front()["args"], Json::parse(R"({"bytes":384,"flop":0,"gbs":0.384})"));
}

TEST_F(Trace, ProgramsAreTimedFromTheFirstOneOn) {
  EXPECT_FALSE(rig_.device.timing);
  trace_with(kCeiling);
  EXPECT_TRUE(rig_.device.timing);
  EXPECT_EQ(rig_.device.compiled, 0u);
}

TEST_F(Trace, ADeviceThatCannotTimeItsStepsSaysSo) {
  rig_.device.has_timing = false;
  expect_error(ExitCode::no_device, HasSubstr("--trace: the fake has no step-timing"),
               [&] { trace_with(kCeiling); });
}

}  // namespace
}  // namespace ropewalk::test
