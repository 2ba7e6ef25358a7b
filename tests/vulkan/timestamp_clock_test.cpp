#include "backends/vulkan/device/timestamp_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ropewalk::vulkan {
namespace {

using testing::ElementsAre;

TEST(TimestampClock, TicksAreMicrosecondsSinceTheFirst) {
  EXPECT_THAT((TimestampClock{64, 1}.since_first_us({5000, 6000, 8500})), ElementsAre(1, 3.5));
  EXPECT_THAT((TimestampClock{64, 31.25}.since_first_us({1, 33})), ElementsAre(1));
}

// 36 bits is the fewest that a queue with timestamps may have. What stands above them is undefined.
TEST(TimestampClock, TheCounterMayWrap) {
  const uint64_t round = uint64_t{1} << 36;
  EXPECT_THAT((TimestampClock{36, 1}.since_first_us({round - 1000, 1000, 7 * round + 2000})),
              ElementsAre(2, 3));
}

}  // namespace
}  // namespace ropewalk::vulkan
