// Which of several devices is taken, and the reasons for the others: on a loader whose devices no
// machine has together (fake_loader.cpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/vulkan/vulkan_model.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;
using testing::StrEq;

// Indices into kDevices of fake_loader.cpp.
enum : char { kProcessor = '0', kVirtual, kIntegrated, kOld, kCard, kWithoutAddresses };

constexpr char kValidate[] = "ROPEWALK_VULKAN_VALIDATE";

class VulkanChoice : public testing::Test {
 protected:
  // The fake loader has no validation layer.
  VulkanChoice() { setenv(kValidate, "0", 1); }
  ~VulkanChoice() override {
    unsetenv("FAKE_VULKAN_DEVICES");
    setenv(kValidate, "1", 1);
  }

  static BackendConfig backend(const std::string& devices) {
    setenv("FAKE_VULKAN_DEVICES", devices.c_str(), 1);
    Config config;
    config.backend.plugin.name = "vulkan";
    set_option(config, "loader", RW_FAKE_LOADER);
    return config.backend;
  }
  // The error of opening a device: none of them opens, and the message names it.
  static std::string opened(const BackendConfig& config) {
    Registry registry = probing_registry();
    try {
      open_device(registry, config);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::no_device);
      return error.what();
    }
    return "a device was opened";
  }
  static std::vector<DeviceListing> listed(const BackendConfig& config) {
    Registry registry = probing_registry();
    std::vector<DeviceListing> all = list_devices(registry, config);
    std::erase_if(all, [](const DeviceListing& listing) { return listing.backend != "vulkan"; });
    return all;
  }
};

TEST_F(VulkanChoice, DiscreteBeforeIntegratedBeforeVirtualBeforeProcessor) {
  EXPECT_THAT(opened(backend({kProcessor, kVirtual, kIntegrated, kCard})), HasSubstr(" a card: "));
  EXPECT_THAT(opened(backend({kCard, kIntegrated, kProcessor})), HasSubstr(" a card: "));
  EXPECT_THAT(opened(backend({kProcessor, kVirtual, kIntegrated})),
              HasSubstr(" an integrated GPU: "));
  EXPECT_THAT(opened(backend({kProcessor, kVirtual})), HasSubstr(" a virtual GPU: "));
  EXPECT_THAT(opened(backend({kProcessor})), HasSubstr(" a processor: "));
}

TEST_F(VulkanChoice, WhatCannotBeUsedIsPassedOver) {
  EXPECT_THAT(opened(backend({kOld, kWithoutAddresses, kIntegrated})),
              HasSubstr(" an integrated GPU: "));
  EXPECT_THAT(opened(backend({kOld, kWithoutAddresses})),
              testing::AllOf(HasSubstr("its driver has Vulkan 1.1, expected 1.2 or later"),
                             HasSubstr("it has no buffer device addresses")));
}

TEST_F(VulkanChoice, TheConfiguredDeviceIsTaken) {
  BackendConfig config = backend({kProcessor, kVirtual, kCard});
  config.device = 1;
  EXPECT_THAT(opened(config), HasSubstr(" a virtual GPU: "));
  config.device = 3;
  EXPECT_THAT(opened(config), HasSubstr("device 3 does not exist, found 3"));
}

TEST_F(VulkanChoice, EachIsListedWithDriverMemorySubgroupSizeAndWhatItLacks) {
  const auto devices = listed(backend({kVirtual, kCard, kOld}));
  ASSERT_EQ(devices.size(), 3u);
  const abi::DeviceInfo& plain = devices[0].info;
  EXPECT_THAT(plain.name, StrEq("a virtual GPU"));
  EXPECT_THAT(plain.driver, StrEq("fake 1.0"));
  EXPECT_EQ(plain.lanes, 32u);
  EXPECT_EQ(plain.memory_free, uint64_t{4} << 30);
  EXPECT_THAT(plain.missing,
              testing::AllOf(HasSubstr("subgroup shuffles"), HasSubstr("size control"),
                             HasSubstr("float16 arithmetic"), HasSubstr("16-bit storage"),
                             HasSubstr("timestamps (no --trace)"),
                             HasSubstr("a memory budget (the heap counts as free)")));
  const abi::DeviceInfo& card = devices[1].info;
  EXPECT_EQ(card.lanes, 64u);
  EXPECT_EQ(card.memory_total, uint64_t{8} << 30);
  EXPECT_EQ(card.memory_free, uint64_t{5} << 30);
  EXPECT_THAT(card.missing, StrEq(""));
  EXPECT_FALSE(devices[2].usable);
}

TEST_F(VulkanChoice, AnIntegratedGpuHasAllHeapsACardItsOwn) {
  const auto devices = listed(backend({kIntegrated, kCard}));
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[0].info.memory_total, uint64_t{5} << 30);
  EXPECT_EQ(devices[0].info.memory_free, uint64_t{5} << 30);
  EXPECT_EQ(devices[1].info.memory_total, uint64_t{8} << 30);
}

// The fake card's second queue does not draw, and has no timestamps.
TEST_F(VulkanChoice, TheQueueIsTheFirstOrOneThatDoesNotDraw) {
  BackendConfig config = backend({kCard});
  EXPECT_THAT(listed(config)[0].info.missing, StrEq(""));
  config.plugin.options.push_back({"queue", Where{}, make_scalar("compute", Where{})});
  EXPECT_THAT(listed(config)[0].info.missing, StrEq("timestamps (no --trace)"));
}

}  // namespace
}  // namespace ropewalk::test
