// The built program on devices that are missing, too old, too small, lost or hung: the exit code,
// one line that says why, and an end that is neither a signal nor a hang.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

struct Failure {
  const char* id;
  const char* variable;  // VK_DRIVER_FILES, or nullptr
  std::vector<const char*> settings;
  int code;
  const char* words;
};

const Failure kFailures[] = {
    {"K01_K08_no_driver", "VK_DRIVER_FILES", {}, 5, "no driver"},
    {"K04_bad_index", nullptr, {"backend.device=99"}, 5, "device 99 does not exist"},
    {"K07_no_loader", nullptr, {"backend.loader=libabsent.so.1"}, 5, "no Vulkan loader"},
    {"K09_old_driver", nullptr, {"backend.mask-features=[vulkan-1.2]"}, 5, "has Vulkan 1.1"},
    {"K10_no_addresses",
     nullptr,
     {"backend.mask-features=[buffer-device-address]"},
     5,
     "no buffer device addresses"},
    {"K12_too_small", nullptr, {"backend.fault=[memory=100000]"}, 6, "the model does not fit"},
    {"K13_K14_out_of_memory", nullptr, {"backend.fault=[oom-after=100000]"}, 6, "bytes asked"},
    {"K15_K18_device_lost", nullptr, {"backend.fault=[lost-at-step=1]"}, 7, "device lost"},
    {"K16_hang",
     nullptr,
     {"backend.fault=[hang-at-step=1]", "backend.submit-limit-ms=300"},
     7,
     "did not finish within 300 ms"},
};

class VulkanProgram : public testing::TestWithParam<Failure> {};

Outcome run_on(const std::string& backend, const std::vector<const char*>& settings) {
  const TemporaryFolder folder;
  const std::string config = folder.write(
      "a.yaml",
      "model: " RW_FIXTURES "/models/gptq-b4-airophin\nbackend: {name: " + backend + "}\n");
  Arguments arguments = {"score", config, "--ids", "-"};
  for (const char* setting : settings) {
    arguments.push_back("--set");
    arguments.push_back(setting);
  }
  return run_program(arguments, "1 2 3 4 5");
}

TEST_P(VulkanProgram, EndsInOneClearLine) {
  const Failure& failure = GetParam();
  if (failure.variable) setenv(failure.variable, "/nonexistent.json", 1);
  const Outcome outcome = run_on("vulkan", failure.settings);
  if (failure.variable) unsetenv(failure.variable);
  EXPECT_EQ(outcome.code, failure.code) << outcome.err;
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_THAT(outcome.err, HasSubstr(failure.words));
  EXPECT_EQ(outcome.err.find("error: "), outcome.err.rfind("error: ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(K, VulkanProgram, testing::ValuesIn(kFailures),
                         [](const auto& failure) { return failure.param.id; });

// A submission that has not ended may be on the driver's threads, which use its libraries.
TEST(VulkanProgramEnds, TheDriverIsNotTakenDownUnderItsThreads) {
  setenv("ROPEWALK_TELL_TEARDOWN", "1", 1);
  const std::string loader = "vulkan, loader: " RW_REORDERING_LOADER;
  const Outcome hung = run_on(loader,
                              {"backend.fault=[hang-at-step=1]", "backend.submit-limit-ms=300"}),
                whole = run_on(loader, {});
  unsetenv("ROPEWALK_TELL_TEARDOWN");
  EXPECT_EQ(hung.code, 7) << hung.err;
  EXPECT_EQ(hung.err, "error: step: a submission did not finish within 300 ms.\n");
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_THAT(whole.err, HasSubstr("taken down"));
}

struct Reply {
  std::string text;
  int submissions;  // as tests/vulkan/reordering_loader.cpp counts them
};

// Eight steps of one row after a prompt.
Reply reply_with(const std::string& option) {
  setenv("ROPEWALK_COUNT_SUBMISSIONS", "1", 1);
  const Outcome outcome =
      run_program({"run", RW_SOURCE_DIR "/configs/airophin-mini.yaml", "--prompt", "hi", "-n", "8",
                   "--seed", "1", "--quiet", "--set",
                   "backend={name: vulkan, loader: " RW_REORDERING_LOADER ", " + option + "}"},
                  "");
  unsetenv("ROPEWALK_COUNT_SUBMISSIONS");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return {outcome.out, std::atoi(outcome.err.c_str())};
}

// A driver's watchdog ends what runs for seconds.
TEST(VulkanProgramRuns, LessArithmeticInASubmissionMakesMoreOfThem) {
  const Reply small = reply_with("submit-mflop: 1"), large = reply_with("submit-mflop: 1000");
  EXPECT_GT(small.submissions, large.submissions + 20);
  EXPECT_EQ(small.text, large.text);
}

// Where steps seem to take long, the third and those behind it are cut into many submissions; of
// short ones each is one, as by the estimate. What is cut computes the same.
TEST(VulkanProgramRuns, StepsThatTakeLongAreCutIntoMoreSubmissions) {
  const Reply slow = reply_with("fault: [step-ms=1000000]"),
              fast = reply_with("fault: [step-ms=1]"),
              fixed = reply_with("fault: [step-ms=1000000], submit-mflop: 1000");
  EXPECT_GT(slow.submissions, fast.submissions + 5 * 10);
  EXPECT_EQ(fixed.submissions, fast.submissions);
  EXPECT_EQ(slow.text, fast.text);
}

// K11: named by the user, a processor that plays a GPU is used; K17: by itself `auto` does not.
TEST(VulkanProgramRuns, WhereItIsAskedFor) {
  const Outcome outcome = run_on("vulkan", {});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("-"));
}

// One line says what a server that must be deterministic lacks. With the option it goes on:
// models_test.cpp asks what the device then promises.
TEST(VulkanProgramRuns, ADeterministicServerNeedsTheOptionBatchInvariant) {
  const Outcome outcome =
      run_program({"serve", RW_SOURCE_DIR "/configs/airophin-mini.yaml", "--listen", "127.0.0.1:0",
                   "--set", "backend={name: vulkan}", "--set", "serve.deterministic=true"},
                  "");
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("may depend on who else is served: without its option batch-invariant"));
}

TEST(VulkanProgramRuns, AQueueWithoutTimestampsHasNoTrace) {
  const TemporaryFolder folder;
  const Outcome outcome = run_program(
      {"bench", "--shape", "airophin-mini", "--prompt", "16", "--trace", folder.path() / "t.json",
       "--set", "backend={name: vulkan, mask-features: [timestamps]}"},
      "");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err,
              testing::MatchesRegex("error: --trace: the queue of [^\n]+ has no timestamps\\.?\n"));
}

// Projections of one x run side by side, so there are fewer barriers than dispatches. A traced step
// has the same dispatches, at least one for each of its groups, and a barrier behind each group.
TEST(VulkanProgramRuns, BenchCountsDispatchesAndBarriers) {
  const TemporaryFolder folder;
  const std::string file = folder.path() / "trace.json";
  Arguments arguments = {"bench",    "--shape", "airophin-mini", "--prompt", "16",
                         "--decode", "1",       "--backend",     "vulkan",   "--json"};
  const Json plain = run_program(arguments, "").json()["rows"].back();
  Arguments ahead = arguments;
  ahead.insert(ahead.end(), {"--set", "backend={name: vulkan, prefetch-mib: 1}"});
  const Json reading_ahead = run_program(ahead, "").json()["rows"].back();
  arguments.insert(arguments.end(), {"--trace", file});
  const Json traced = run_program(arguments, "").json()["rows"].back();
  const Json trace = Json::parse(read_file(file));
  uint32_t steps = 0, groups = 0;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == "X") ++(event["tid"] == 1 ? steps : groups);
  }
  ASSERT_GT(steps, 0u);
  EXPECT_GE(plain["dispatches"], groups / steps);
  EXPECT_LT(plain["barriers"], plain["dispatches"]);
  EXPECT_GT(plain["barriers"], 0);
  EXPECT_EQ(traced["dispatches"], plain["dispatches"]);
  EXPECT_GT(reading_ahead["dispatches"], plain["dispatches"]);
  EXPECT_EQ(reading_ahead["barriers"], plain["barriers"]);
  EXPECT_GE(traced["barriers"], groups / steps + 1);
}

}  // namespace
}  // namespace ropewalk::test
