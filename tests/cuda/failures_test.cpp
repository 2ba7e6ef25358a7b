// K12 to K16 of the CUDA backend, on the emulator: no memory, a lost device, a step that never
// ends, each ending in one clear line, with nothing that hangs or ends the process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "core/eval/score.h"
#include "tests/cuda/cuda_model.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CudaFailures : public testing::Test {
 protected:
  void SetUp() override {
    if (test_backend() != "emulated") GTEST_SKIP() << "faults are the emulator's";
  }
  void TearDown() override { unsetenv("EMULATOR_FAULT"); }

  static void set_fault(const std::string& fault) { setenv("EMULATOR_FAULT", fault.c_str(), 1); }
};

TEST_F(CudaFailures, NoSuchDevice) {
  Config config = cuda_config(kActOrderFixture);
  config.backend.device = 99;
  expect_error(ExitCode::no_device, HasSubstr("device 99 does not exist, found 1"), [&] {
    Registry registry = make_registry(config);
    open_device(registry, config.backend);
  });
}

// K12: refused before anything is allocated, with what is needed, what is free and what would fit.
// A 64th of the memory is reserved for what no plan counts.
TEST_F(CudaFailures, DoesNotFit) {
  setenv("EMULATOR_MEMORY", "50000000", 1);
  Config config = cuda_config(kActOrderFixture);
  RuntimeSettings settings = fixture_settings(config);
  settings.cache_pages = 1000;
  expect_error(ExitCode::out_of_memory,
               AllOf(HasSubstr("the model does not fit: weights "), HasSubstr("workspace "),
                     HasSubstr(" of 46.9 MiB free"), HasSubstr("% of this length would fit"),
                     HasSubstr("set context.kv_cache to int8")),
               [&] { FixtureModel model(kActOrderFixture, settings); });
  unsetenv("EMULATOR_MEMORY");
}

// K13: cache, workspace and staging are allocated once a model is loaded. Later only the recording
// of a bucket takes memory, the driver's own. Where that fails the request fails and the next one
// works.
TEST_F(CudaFailures, OutOfMemoryLater) {
  FixtureModel model(kActOrderFixture, fixture_settings(cuda_config(kActOrderFixture)));
  const auto ids = ids_of(kActOrderFixture);
  set_fault("oom-recording=1");
  expect_error(ExitCode::out_of_memory, HasSubstr("recording: "),
               [&] { score(model.runtime, ids, nullptr); });
  set_fault("oom=1");  // nothing else is allocated
  const auto logprobs = score(model.runtime, ids, nullptr).logprobs;
  EXPECT_EQ(score(model.runtime, ids, nullptr).logprobs, logprobs);
}

// K14: the plan fits what the driver tells, another process takes the memory, and the allocation
// fails.
TEST_F(CudaFailures, OutOfMemoryWhileLoading) {
  set_fault("oom-after=100000");
  expect_error(
      ExitCode::out_of_memory,
      AllOf(HasSubstr("out of device memory"), HasSubstr("bytes asked"), HasSubstr("free")), [&] {
        FixtureModel model(kActOrderFixture, fixture_settings(cuda_config(kActOrderFixture)));
      });
}

// K15: that request fails, every later one fails, and shutting down does not hang.
void expect_lost(const std::string& fault, const std::string& words) {
  Config config = cuda_config(kActOrderFixture);
  set_option(config, "step-limit-ms", "300");
  const auto start = std::chrono::steady_clock::now();
  {
    FixtureModel model(kActOrderFixture, fixture_settings(config));
    const auto ids = ids_of(kActOrderFixture);
    score(model.runtime, ids, nullptr);
    setenv("EMULATOR_FAULT", fault.c_str(), 1);
    for (int again = 0; again < 2; ++again)
      expect_error(ExitCode::device_lost, HasSubstr(words),
                   [&] { score(model.runtime, ids, nullptr); });
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(CudaFailures, TheDeviceIsLost) {
  expect_lost("lost-after=1",
              "the device emulated GPU is lost: a step: an illegal memory access was encountered "
              "(cudaErrorIllegalAddress)");
}

TEST_F(CudaFailures, AStepNeverEnds) {
  expect_lost("hang-after=1", "the device emulated GPU is lost: a step has not ended after 300 ms");
}

}  // namespace
}  // namespace ropewalk::test
