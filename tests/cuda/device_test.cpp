// What the device does beside running graphs, on the emulator or a GPU: it measures itself and
// fills its memory with random numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/abi/random_fill.h"
#include "tests/end_to_end/backends.h"

namespace ropewalk::test {
namespace {

class CudaDevice : public testing::Test {
 protected:
  void SetUp() override {
    const TestBackend backend = test_backends().front();
    const std::string reason = why_missing(backend);
    if (!reason.empty()) GTEST_SKIP() << reason;
    Config config;
    config.backend.plugin.name = backend.backend;
    registry_ = std::make_unique<Registry>(make_registry(config));
    opened_ = std::make_unique<OpenDevice>(open_device(*registry_, config.backend));
  }

  abi::Device& device() { return *opened_->device; }

 private:
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<OpenDevice> opened_;
};

TEST_F(CudaDevice, MeasuresMemory) {
  for (const auto what : {abi::Measurement::read_bandwidth, abi::Measurement::copy_bandwidth}) {
    double value = 0;
    const abi::Status status = device().measure(what, &value);
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_GT(value, 1e6);
  }
}

TEST_F(CudaDevice, FillsMemoryWithRandomNumbers) {
  constexpr uint64_t kBytes = 1 << 16;
  void* extension = nullptr;
  ASSERT_TRUE(device().extension(abi::kRandomFill, &extension).ok());
  auto* fill = static_cast<abi::RandomFill*>(extension);
  abi::Buffer buffer{};
  ASSERT_TRUE(device().allocate(abi::Arena::cache, kBytes, &buffer).ok());
  const std::vector<std::byte> before(kBytes, std::byte{0xee});
  ASSERT_TRUE(device().write({buffer, 0, kBytes}, before).ok());

  // All but 32 bytes at both ends.
  const abi::Status status = fill->fill({buffer, 32, kBytes - 64}, 7);
  ASSERT_TRUE(status.ok()) << status.message;
  std::vector<uint16_t> halves(kBytes / 2);
  ASSERT_TRUE(device().read(std::as_writable_bytes(std::span(halves)), {buffer, 0, kBytes}).ok());
  std::set<uint16_t> seen;
  for (size_t i = 0; i < halves.size(); ++i) {
    const bool inside = i >= 16 && i < halves.size() - 16;
    if (!inside) {
      ASSERT_EQ(halves[i], 0xeeeeu) << i;
      continue;
    }
    const uint32_t exponent = halves[i] >> 10 & 0x1fu;  // of 2^(exponent - 15)
    ASSERT_TRUE(exponent == 12 || exponent == 13) << i << ": " << halves[i];
    seen.insert(halves[i]);
  }
  // 32736 random draws leave out hardly any of the 4096 possible numbers.
  EXPECT_GT(seen.size(), 4000u);

  EXPECT_EQ(fill->fill({buffer, 8, 16}, 7).code, abi::StatusCode::invalid_argument);
  EXPECT_EQ(fill->fill({buffer, 0, kBytes + 16}, 7).code, abi::StatusCode::invalid_argument);
  EXPECT_EQ(device().extension("warp-drive", &extension).code, abi::StatusCode::unsupported);
}

}  // namespace
}  // namespace ropewalk::test
