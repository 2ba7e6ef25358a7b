// What the answers of a driver make of a device: on those of fake_loader.cpp, which no machine has
// together.
#include "backends/vulkan/device/features.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace ropewalk::vulkan {
namespace {

// Indices into kDevices of fake_loader.cpp.
enum : char { kProcessor = '0', kPlain, kIntegrated, kCard = '4', kCardOfSlowDots = '6' };

// The device as the backend sees it with these options.
Features features_of(char device, const std::map<std::string, std::string>& set) {
  const char list[] = {device, 0};
  setenv("FAKE_VULKAN_DEVICES", list, 1);
  std::vector<abi::OptionValue> values;
  for (const abi::OptionInfo& option : kOptions) {
    const auto found = set.find(option.name);
    std::string_view value = option.default_value;
    if (found != set.end()) value = found->second;
    if (option.name == std::string_view("loader")) value = RW_FAKE_LOADER;
    values.push_back({option.name, value});
  }
  const Options options(abi::Options(abi::CreateInfo{values, nullptr}));
  const Instance instance(options);
  return examine(instance, instance.devices()[0], options);
}

TEST(VulkanFeatures, DotProductsWhereTheHardwareHasTheInstruction) {
  EXPECT_TRUE(features_of(kCard, {}).integer_dot);
  EXPECT_TRUE(features_of(kCard, {}).dot_tiles);
  EXPECT_FALSE(features_of(kCard, {{"dot", "never"}}).integer_dot);
  EXPECT_FALSE(features_of(kCardOfSlowDots, {}).integer_dot);
  EXPECT_FALSE(features_of(kCardOfSlowDots, {}).dot_tiles);
  EXPECT_TRUE(features_of(kCardOfSlowDots, {{"dot", "always"}}).dot_tiles);
  EXPECT_FALSE(features_of(kPlain, {{"dot", "always"}}).integer_dot);
}

TEST(VulkanFeatures, AProcessorThatPlaysAGpuTakesThemForFewRows) {
  EXPECT_FALSE(features_of(kProcessor, {}).integer_dot);
  const Features gpu = features_of(kProcessor, {{"tuning", "gpu"}});
  EXPECT_TRUE(gpu.integer_dot);
  EXPECT_FALSE(gpu.dot_tiles);
  EXPECT_TRUE(features_of(kProcessor, {{"tuning", "gpu"}, {"dot", "always"}}).dot_tiles);
}

TEST(VulkanFeatures, Float16IsForGpus) {
  EXPECT_TRUE(features_of(kCard, {}).float16);
  EXPECT_FALSE(features_of(kCard, {{"float16", "never"}}).float16);
  EXPECT_FALSE(features_of(kProcessor, {}).float16);
  EXPECT_TRUE(features_of(kProcessor, {{"float16", "always"}}).float16);
  EXPECT_FALSE(features_of(kPlain, {{"float16", "always"}}).float16);
}

// Each needs what the shaders that use it need, too.
TEST(VulkanFeatures, WithoutOneFeatureOthersAreOfNoUse) {
  for (const char* missing : {"int64", "size-control", "integer-dot"})
    EXPECT_FALSE(features_of(kCard, {{"mask-features", missing}}).integer_dot) << missing;
  EXPECT_EQ(features_of(kCard, {{"matrix", "emulated"}}).matrices, Matrices::emulated);
  EXPECT_EQ(features_of(kCard, {{"matrix", "emulated"}, {"float16", "never"}}).matrices,
            Matrices::none);
  EXPECT_EQ(features_of(kCard, {{"matrix", "emulated"}, {"mask-features", "int64"}}).matrices,
            Matrices::none);
}

// The driver's UUID stays where its compiler changes; RADV's is the same for all of its releases.
TEST(VulkanFeatures, CachesBelongToWhoeverTheDriverSaysReadsThem) {
  const Features card = features_of(kCard, {});
  EXPECT_TRUE(std::ranges::all_of(card.device_uuid, [](uint8_t byte) { return byte == 0xde; }));
  EXPECT_TRUE(std::ranges::all_of(card.cache_uuid, [](uint8_t byte) { return byte == 0xca; }));
}

// An integrated GPU has 3 GiB as its own and 2 GiB as the host's; a card of 8 GiB has 3 in use.
TEST(VulkanFeatures, AnIntegratedGpuHasAllHeaps) {
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  EXPECT_EQ(features_of(kIntegrated, {}).info.memory_total, 5 * kGiB);
  EXPECT_EQ(features_of(kIntegrated, {}).info.memory_free, 5 * kGiB);
  EXPECT_EQ(features_of(kCard, {}).info.memory_total, 8 * kGiB);
  EXPECT_EQ(features_of(kCard, {}).info.memory_free, 5 * kGiB);
}

TEST(VulkanFeatures, TheQueueThatDoesNotDrawIsTheSecond) {
  EXPECT_EQ(features_of(kCard, {}).queue_family, 0u);
  EXPECT_EQ(features_of(kCard, {{"queue", "compute"}}).queue_family, 1u);
}

}  // namespace
}  // namespace ropewalk::vulkan
