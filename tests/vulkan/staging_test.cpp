// A weight far larger than the staging memory goes to the device within 64 MiB of the host's.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/ops/devices.h"
#include "tests/ops/session.h"

namespace ropewalk::tests {
namespace {

// A line of /proc/self/status, in bytes.
uint64_t memory(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1)) * 1024;
  return 0;
}

void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

TEST(VulkanStaging, PackingTakesLittleOfTheHost) {
  constexpr uint64_t kMost = uint64_t{64} << 20;
  StoredWeight weight;
  weight.shape.dtype = abi::DType::f16;
  weight.shape.rows = 8192;
  weight.shape.cols = 8192;
  weight.dense.resize(uint64_t{8192} * 8192 * 2, std::byte{1});
  abi::Device& device = tests::device("vulkan");
  uint64_t bytes = 0;
  check(device.packed_bytes(weight.view(), &bytes), "packed_bytes");
  abi::Buffer buffer;
  check(device.allocate(abi::Arena::weights, bytes, &buffer), "allocate");
  // On a software device the device's memory is the host's; it is there before the measurement.
  check(device.write({buffer, 0, weight.dense.size()}, weight.dense), "write");
  forget_peak();
  const uint64_t before = memory("VmRSS");
  check(device.pack(weight.view(), {buffer, 0, bytes}), "pack");
  EXPECT_GT(before, weight.dense.size());
  EXPECT_LT(memory("VmHWM"), before + kMost);
  device.free(buffer);
}

}  // namespace
}  // namespace ropewalk::tests
