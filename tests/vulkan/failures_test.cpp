// Failures of Vulkan, each ending in one clear line: no loader, no driver, a missing feature, no
// memory, a lost device, a submission that never ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "core/eval/score.h"
#include "tests/error_of.h"
#include "tests/vulkan/vulkan_model.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// An environment variable for the rest of a scope.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

void open_with(const Config& config) {
  Registry registry = make_registry(config);
  open_device(registry, config.backend);
}

TEST(VulkanFailures, NoLoader) {
  Config config = vulkan_config(kActOrderFixture);
  set_option(config, "loader", "libvulkan-absent.so.1");
  expect_error(ExitCode::no_device, HasSubstr("no Vulkan loader (libvulkan-absent.so.1)"),
               [&] { open_with(config); });
}

TEST(VulkanFailures, NoDriver) {
  const Environment none("VK_DRIVER_FILES", "/nonexistent.json");
  const Environment older_name("VK_ICD_FILENAMES", "/nonexistent.json");
  expect_error(ExitCode::no_device, HasSubstr("no driver"),
               [] { open_with(vulkan_config(kActOrderFixture)); });
}

TEST(VulkanFailures, NoValidationLayerThoughAskedFor) {
  const Environment none("VK_LAYER_PATH", "/nonexistent");
  Config config = vulkan_config(kActOrderFixture);
  set_option(config, "validate", "true");
  expect_error(ExitCode::no_device, HasSubstr("VK_LAYER_KHRONOS_validation was asked for"),
               [&] { open_with(config); });
}

TEST(VulkanFailures, AFeatureIsMissing) {
  const std::pair<const char*, const char*> required[] = {
      {"buffer-device-address", "it has no buffer device addresses"},
      {"timeline-semaphore", "it has no timeline semaphores"},
      {"compute-queue", "it has no compute queue"}};
  for (const auto& [feature, words] : required) {
    Config config = vulkan_config(kActOrderFixture);
    set_list(config, "mask-features", feature);
    expect_error(ExitCode::no_device, HasSubstr(words), [&] { open_with(config); });
  }
}

// K09
TEST(VulkanFailures, TheDriverIsTooOld) {
  Config config = vulkan_config(kActOrderFixture);
  set_list(config, "mask-features", "vulkan-1.2");
  expect_error(ExitCode::no_device, HasSubstr("its driver has Vulkan 1.1, expected 1.2 or later"),
               [&] { open_with(config); });
}

TEST(VulkanFailures, AnUnknownTuning) {
  Config config = vulkan_config(kActOrderFixture);
  set_option(config, "tuning", "abacus");
  expect_error(ExitCode::usage, HasSubstr("expected auto, gpu or processor, found abacus"),
               [&] { open_with(config); });
}

TEST(VulkanFailures, AnUnknownWayToCombine) {
  Config config = vulkan_config(kActOrderFixture);
  set_option(config, "combine", "first");
  expect_error(ExitCode::usage, HasSubstr("option combine: expected last or own, found first"),
               [&] { open_with(config); });
}

TEST(VulkanFailures, AnUnknownFeatureOrFault) {
  Config config = vulkan_config(kActOrderFixture);
  set_list(config, "mask-features", "teleportation");
  expect_error(ExitCode::usage, HasSubstr("no feature teleportation"), [&] { open_with(config); });
  config = vulkan_config(kActOrderFixture);
  set_list(config, "fault", "lost-at-step=soon");
  expect_error(ExitCode::usage, HasSubstr("lost-at-step needs a number"),
               [&] { open_with(config); });
}

TEST(VulkanFailures, NoSuchDevice) {
  Config config = vulkan_config(kActOrderFixture);
  config.backend.device = 99;
  expect_error(ExitCode::no_device, HasSubstr("device 99 does not exist"),
               [&] { open_with(config); });
}

// K12: need and free are told, and a context that would fit, before anything is allocated.
TEST(VulkanFailures, TheModelDoesNotFit) {
  Config config = vulkan_config(kActOrderFixture);
  set_list(config, "fault", "memory=100000");
  expect_error(ExitCode::out_of_memory,
               AllOf(HasSubstr("the model does not fit: weights "), HasSubstr(" of 97.7 KiB free")),
               [&] { FixtureModel model(kActOrderFixture, fixture_settings(config)); });
}

TEST(VulkanFailures, OnlyTheCacheDoesNotFit) {
  Config config = vulkan_config(kActOrderFixture);
  config.context.length = 100000;
  const auto plan = FixtureModel(kActOrderFixture, fixture_settings(config)).runtime.model().plan();
  ASSERT_GT(plan.cache, plan.total() / 2);
  set_list(config, "fault", "memory=" + std::to_string(plan.total() - plan.cache / 2));
  expect_error(ExitCode::out_of_memory,
               HasSubstr("A context of about 50 % of this length would fit: lower context.length"),
               [&] { FixtureModel model(kActOrderFixture, fixture_settings(config)); });
}

// K13: the cache is planned whole, so what is allocated after loading is the inputs of a program.
// That step fails, but the device and the model still work.
TEST(VulkanFailures, OutOfMemoryAfterLoading) {
  const auto ids = ids_of(kActOrderFixture);
  Config config = vulkan_config(kActOrderFixture);
  const auto plan = FixtureModel(kActOrderFixture, fixture_settings(config)).runtime.model().plan();
  set_list(config, "fault", "oom-after=" + std::to_string(plan.total() + 256));
  FixtureModel model(kActOrderFixture, fixture_settings(config));
  for (int again = 0; again < 2; ++again)
    expect_error(ExitCode::out_of_memory, AllOf(HasSubstr("bytes asked"), HasSubstr("free")),
                 [&] { score(model.runtime, ids, nullptr); });
}

// K14. The plan fits what the driver tells, another process takes the memory, and the allocation
// fails.
TEST(VulkanFailures, OutOfMemoryWhileLoading) {
  Config config = vulkan_config(kActOrderFixture);
  set_list(config, "fault", "oom-after=100000");
  expect_error(ExitCode::out_of_memory, AllOf(HasSubstr("bytes asked"), HasSubstr("free")),
               [&] { FixtureModel model(kActOrderFixture, fixture_settings(config)); });
}

// K15: that request fails, so does every later one, and taking everything down neither hangs nor
// ends the process.
void expect_lost(const std::string& fault, const std::string& words) {
  Config config = vulkan_config(kActOrderFixture);
  set_list(config, "fault", fault);
  // Longer than the first step takes, whose shaders lavapipe compiles as it runs.
  set_option(config, "submit-limit-ms", "10000");
  const auto start = std::chrono::steady_clock::now();
  {
    FixtureModel model(kActOrderFixture, fixture_settings(config));
    const auto ids = ids_of(kActOrderFixture);
    score(model.runtime, ids, nullptr);
    for (int again = 0; again < 2; ++again) {
      expect_error(ExitCode::device_lost, HasSubstr(words),
                   [&] { score(model.runtime, ids, nullptr); });
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(VulkanFailures, TheDeviceIsLostInTheSecondStep) {
  expect_lost("lost-at-step=2", "the driver reports the device lost");
}

TEST(VulkanFailures, TheSecondStepNeverEnds) {
  expect_lost("hang-at-step=2", "a submission did not finish within 10 s");
}

// K11, K17: `auto` must not take a software Vulkan device without saying so.
TEST(VulkanFailures, AutoSaysWhyItLeavesASoftwareDevice) {
  Config config;
  config.backend.plugin.name = "auto";
  Registry registry = probing_registry();
  const auto listings = list_devices(registry, config.backend);
  for (const DeviceListing& listing : listings) {
    const bool gpu = listing.backend != "cpu" && listing.usable &&
                     listing.info.type != abi::DeviceType::software;
    if (gpu) GTEST_SKIP() << "this machine has a GPU: " << listing.info.name;
  }
  const OpenDevice opened = open_device(registry, config.backend);
  testing::internal::CaptureStderr();
  tell_of_device(opened);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("is only a software device"));
  EXPECT_EQ(opened.backend, "cpu");
}

}  // namespace
}  // namespace ropewalk::test
