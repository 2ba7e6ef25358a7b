// A weight far larger than the staging memory goes to the device within 64 MiB of the host's, one
// that is larger than a binding is used, and a cache that is larger than an index is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

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
