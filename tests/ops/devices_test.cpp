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

}  // namespace
}  // namespace ropewalk::test
