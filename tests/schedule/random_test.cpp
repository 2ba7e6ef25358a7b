// Random schedules against one request at a time.
#include <gtest/gtest.h>

#include <random>

#include "tests/schedule/play.h"

namespace ropewalk::test {
namespace {

TEST(RandomSchedules, EverybodySaysWhatTheyWouldSayAlone) {
  TinyModel tiny({64, 16, 8, 16});
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    std::mt19937 random(seed);
    std::vector<uint8_t> bytes(100 + random() % 900);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    ASSERT_EQ(play(tiny, bytes), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace ropewalk::test
