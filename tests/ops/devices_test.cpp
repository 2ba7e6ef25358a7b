#include <gtest/gtest.h>

#include <algorithm>

#include "tests/ops/harness/devices.h"

namespace ropewalk::test {
namespace {

// A missing device that is expected here must fail, not count as "nothing to test".
TEST(Devices, expected_ones_are_here) {
  const std::vector<std::string> found = device_names();
  for (const std::string& name : expected_devices())
    EXPECT_TRUE(std::count(found.begin(), found.end(), name)) << name << " was not found";
}

// What benchmarks compare products with, in the arithmetic that each variant has.
TEST(Devices, the_rate_of_products_is_measured) {
  for (const std::string& name : device_names()) {
    if (!name.starts_with("vulkan"))
      continue;  // the others have one arithmetic, which bench measures
    double flops = 0;
    const abi::Status status = device(name).measure(abi::Measurement::matmul_rate, &flops);
    EXPECT_TRUE(status.ok()) << name << ": " << status.message;
    EXPECT_GT(flops, 1e3) << name;
    EXPECT_LT(flops, 1e16) << name;
  }
}

}  // namespace
}  // namespace ropewalk::test
