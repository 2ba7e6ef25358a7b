// A weight far larger than the staging memory goes to the device within 64 MiB of the host's, one
// that is larger than a binding is used, and a cache that is larger than an index is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "backends/vulkan/device/memory_types.h"
#include "tests/memory.h"
#include "tests/ops/harness/devices.h"
#include "tests/ops/harness/session.h"

namespace ropewalk::test {
namespace {

TEST(VulkanStaging, PackingTakesLittleOfTheHost) {
  constexpr uint64_t kMaxHostBytes = uint64_t{64} << 20;
  StoredWeight weight;
  weight.shape.dtype = abi::DType::f16;
  weight.shape.rows = 8192;
  weight.shape.cols = 8192;
  weight.dense.resize(uint64_t{8192} * 8192 * 2, std::byte{1});
  abi::Device& device = test::device("vulkan");
  uint64_t bytes = 0;
  check(device.packed_bytes(weight.view(), &bytes), "packed_bytes");
  abi::Buffer buffer;
  check(device.allocate(abi::Arena::weights, bytes, &buffer), "allocate");
  // On a software device the device's memory is the host's; it is there before the measurement.
  check(device.write({buffer, 0, weight.dense.size()}, weight.dense), "write");
  forget_peak();
  const uint64_t before = memory_now();
  check(device.pack(weight.view(), {buffer, 0, bytes}), "pack");
  EXPECT_GT(before, weight.dense.size());
  EXPECT_LT(memory_peak(), before + kMaxHostBytes);
  device.free(buffer);
}

// More than a storage buffer may be bound with on lavapipe (128 MiB), as the lm_head of a 13B model
// is: both ends of it are read.
TEST(VulkanStaging, AWeightBeyondTheBindingLimitIsReadToItsEnd) {
  constexpr uint32_t kDepth = 8192, kWidth = 10240;
  constexpr uint16_t kOne = 0x3c00, kTwo = 0x4000;  // f16
  StoredWeight weight;
  weight.shape.dtype = abi::DType::f16;
  weight.shape.rows = kDepth;
  weight.shape.cols = kWidth;
  weight.dense.resize(uint64_t{kDepth} * kWidth * 2);
  const auto set = [&](uint64_t row, uint64_t column, uint16_t value) {
    std::memcpy(weight.dense.data() + 2 * (column * kDepth + row), &value, 2);
  };
  set(0, 0, kOne);
  set(kDepth - 1, 0, kOne);
  set(0, kWidth - 1, kOne);
  set(kDepth - 1, kWidth - 1, kTwo);
  Case c;
  const uint32_t x = c.activation("x", {abi::kRows, kDepth});
  const uint32_t y = c.activation("y", {abi::kRows, kWidth});
  c.node(abi::Op::matmul, {x, c.weight("w", weight)}, {y}, {});
  Session session(c, device("vulkan"), {1, 1, 1, 1}, Steps::alone);
  session.set(x, std::vector<float>(kDepth, 1.0f));
  session.repeat(plain_step(1));
  const std::vector<float> sums = session.get(y);
  EXPECT_EQ(sums.front(), 2);
  EXPECT_EQ(sums.back(), 3);
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0.0f), 5);
}

// Results come with the step's own commands where they fit into staging, else by a copy: both are
// those of the last step.
TEST(VulkanStaging, TheResultIsThatOfTheLastStep) {
  constexpr uint32_t kDepth = 64, kManyRows = 256;
  constexpr uint16_t kOne = 0x3c00;             // f16
  for (const uint32_t width : {64u, 10240u}) {  // 64 KiB and 10 MiB of results
    StoredWeight weight;
    weight.shape.dtype = abi::DType::f16;
    weight.shape.rows = kDepth;
    weight.shape.cols = width;
    weight.dense.resize(uint64_t{kDepth} * width * 2);
    for (uint64_t column = 0; column < width; ++column)
      std::memcpy(weight.dense.data() + 2 * column * kDepth, &kOne, 2);
    Case c;
    const uint32_t x = c.activation("x", {abi::kRows, kDepth});
    const uint32_t y = c.activation("y", {abi::kRows, width});
    c.node(abi::Op::matmul, {x, c.weight("w", weight)}, {y}, {});
    Session session(c, device("vulkan"), {kManyRows, kManyRows, 1, 1}, Steps::alone);
    for (const float value : {1.0f, 2.0f, 3.0f}) {
      session.set(x, std::vector<float>(kDepth * kManyRows, value));
      session.repeat(plain_step(kManyRows));
      const std::vector<float> sums = session.get(y);
      EXPECT_EQ(sums.front(), value) << width;
      EXPECT_EQ(sums.back(), value) << width;
    }
  }
}

// RADV on a Steam Deck: two thirds of the memory as the device's own, a third as the host's. An
// integrated GPU fills one heap after the other; a card never leaves its own.
TEST(VulkanMemoryTypes, AnIntegratedGpuGoesOnInTheOtherHeap) {
  using vulkan::Reach;
  constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                  kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                          VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                  kCached = kHost | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  VkPhysicalDeviceMemoryProperties memory{};
  memory.memoryHeapCount = 2;
  memory.memoryHeaps[0] = {uint64_t{3} << 30, 0};
  memory.memoryHeaps[1] = {uint64_t{6} << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  memory.memoryTypeCount = 5;
  memory.memoryTypes[0] = {kLocal, 1};
  memory.memoryTypes[1] = {kLocal, 1};
  memory.memoryTypes[2] = {kHost, 0};
  memory.memoryTypes[3] = {kLocal | kHost, 1};
  memory.memoryTypes[4] = {kCached, 0};
  using Types = std::vector<uint32_t>;
  constexpr abi::DeviceType kIntegrated = abi::DeviceType::integrated,
                            kCard = abi::DeviceType::discrete;
  EXPECT_EQ(memory_types(memory, 0x1f, Reach::device, kIntegrated), (Types{0, 2}));
  EXPECT_EQ(memory_types(memory, 0x1e, Reach::device, kIntegrated), (Types{1, 2}));
  EXPECT_EQ(memory_types(memory, 0x1f, Reach::device, kCard), (Types{0}));
  EXPECT_EQ(memory_types(memory, 0x1f, Reach::host, kCard), (Types{4}));
  EXPECT_EQ(memory_types(memory, 0x0f, Reach::host, kIntegrated), (Types{2, 3}));
  EXPECT_EQ(memory_types(memory, 0x03, Reach::host, kCard), (Types{}));
  EXPECT_EQ(vulkan::device_heaps(memory, kIntegrated), (Types{0, 1}));
  EXPECT_EQ(vulkan::device_heaps(memory, kCard), (Types{1}));
  // a window of a card's memory that the host sees, as drivers without a resizable BAR tell of it
  memory.memoryHeapCount = 3;
  memory.memoryHeaps[2] = {uint64_t{256} << 20, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  EXPECT_EQ(vulkan::device_heaps(memory, kCard), (Types{1}));
}

// The device's refusal of a node that reads a cache of 13B's heads; empty: it claims it.
std::string refusal_of_cache(uint32_t pages) {
  class Sink final : public abi::ClaimSink {
   public:
    void claim(const abi::Claim&) noexcept override {}
    void refuse(uint32_t, std::string_view why) noexcept override { reason = why; }
    std::string reason;
  };
  const abi::Tensor cache{.name = "keys",
                          .kind = abi::TensorKind::cache,
                          .dtype = abi::DType::f16,
                          .bits = 0,
                          .rank = 4,
                          .group_size = 0,
                          .dim = {pages, 256, 40, 128},
                          .at = {}};
  const uint32_t in[] = {0};
  const abi::Node node{"attention", abi::Op::attention, in, {}, abi::AttentionParams{}};
  Sink sink;
  check(device("vulkan").claim({{&node, 1}, {&cache, 1}, {}}, sink), "claim");
  return sink.reason;
}

// Shaders count words in 31 bits: 8 GiB, which is 3276 pages of 256 tokens, 2.5 MiB each, and a
// part of one.
TEST(VulkanCache, OneBeyondTheIndicesOfShadersIsRefused) {
  EXPECT_EQ(refusal_of_cache(3276), "");
  EXPECT_EQ(refusal_of_cache(3277),
            "keys or values of more than 8 GiB a layer; lower context.length");
}

}  // namespace
}  // namespace ropewalk::test
