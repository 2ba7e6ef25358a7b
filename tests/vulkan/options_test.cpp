// What the options of the Vulkan backend may change in a model's answers, and what not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backends/vulkan/device/options.h"
#include "tests/vulkan/vulkan_model.h"

namespace ropewalk::test {
namespace {

TEST(VulkanOptions, EveryOptionalFeatureMayBeMissing) {
  const auto ids = ids_of(kActOrderFixture);
  const auto whole = logprobs_of(kActOrderFixture, vulkan_config(kActOrderFixture), ids);
  for (const char* feature : {"subgroup-shuffle", "size-control", "memory-budget", "float16",
                              "16bit-storage", "timestamps", "integer-dot", "int64",
                              "subgroup-arithmetic", "memory-model", "f16-subnormals"}) {
    Config config = vulkan_config(kActOrderFixture);
    set_list(config, "mask-features", feature);
    EXPECT_LT(max_difference(logprobs_of(kActOrderFixture, config, ids), whole), 1e-4) << feature;
  }
}

// A loaded machine must not be taken for a device that hangs.
TEST(VulkanOptions, SoftwareHasLongerForASubmission) {
  EXPECT_EQ(vulkan::submit_limit_of(0, abi::DeviceType::software), 120'000u);
  EXPECT_EQ(vulkan::submit_limit_of(0, abi::DeviceType::integrated), 30'000u);
  EXPECT_EQ(vulkan::submit_limit_of(300, abi::DeviceType::software), 300u);
}

// Integer products of many rows, which a processor that plays a GPU does not take by itself.
TEST(VulkanOptions, DotProductsOfManyRowsAgree) {
  Config config = vulkan_config(kActOrderFixture);
  config.context.length = 600;
  set_option(config, "tuning", "gpu");
  set_option(config, "float16", "never");
  Config dot = config;
  set_option(config, "dot", "never");
  set_option(dot, "dot", "always");
  const auto ids = long_text_of(kActOrderFixture);
  const auto without = logprobs_of(kActOrderFixture, config, ids),
             with = logprobs_of(kActOrderFixture, dot, ids);
  EXPECT_NE(with, without);
  EXPECT_LT(max_difference(with, without), 1e-3);
}

// On the emulation of matrix cores, with a GPU's other kernels. Products have the bits of the f16
// tiles; attention does not, which rounds its queries and weights to f16.
TEST(VulkanOptions, MatricesAgree) {
  Config config = vulkan_config(kActOrderFixture);
  config.context.length = 600;
  config.context.kv_cache = KvCacheType::f16;
  set_option(config, "tuning", "gpu");
  Config matrices = config;
  set_option(config, "matrix", "never");
  set_option(matrices, "matrix", "emulated");
  set_option(matrices, "submit-limit-ms", "600000");  // Mesa compiles within a submission
  const auto ids = long_text_of(kActOrderFixture);
  const auto without = logprobs_of(kActOrderFixture, config, ids),
             with = logprobs_of(kActOrderFixture, matrices, ids);
  EXPECT_NE(with, without);
  EXPECT_LT(max_difference(with, without), 1e-2);
  EXPECT_EQ(logprobs_of(kActOrderFixture, matrices, ids), with);
}

struct Switched {
  const char *tuning, *float16, *masked;
  bool computes_on_f16;  // some product does
};

// For a text long enough for products of many rows, which also convert x to f16.
std::vector<double> switched_logprobs(const Switched& choice) {
  Config config = vulkan_config(kActOrderFixture);
  config.context.length = 600;
  set_option(config, "tuning", choice.tuning);
  set_option(config, "float16", choice.float16);
  if (choice.masked) set_list(config, "mask-features", choice.masked);
  return logprobs_of(kActOrderFixture, config, long_text_of(kActOrderFixture));
}

TEST(VulkanOptions, Float16IsTakenWhereOptionAndDeviceAllowIt) {
  const Switched choices[] = {
      {"gpu", "never", nullptr, false},         {"gpu", "auto", nullptr, true},
      {"gpu", "always", nullptr, true},         {"processor", "auto", nullptr, false},
      {"processor", "always", nullptr, true},   {"gpu", "always", "float16", false},
      {"gpu", "always", "16bit-storage", false}};
  const std::vector<double> on_gpu = switched_logprobs(choices[0]);
  const std::vector<double> on_processor =
      switched_logprobs({"processor", "never", nullptr, false});
  for (const Switched& choice : choices) {
    SCOPED_TRACE(std::string(choice.tuning) + " " + choice.float16);
    const std::vector<double> found = switched_logprobs(choice);
    const bool gpu = std::string(choice.tuning) == "gpu";
    EXPECT_EQ(found != (gpu ? on_gpu : on_processor), choice.computes_on_f16);
    EXPECT_LT(max_difference(found, on_gpu), 5e-3);
  }
}

}  // namespace
}  // namespace ropewalk::test
