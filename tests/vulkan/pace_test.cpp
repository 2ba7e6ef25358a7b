// How much arithmetic a submission has, by what steps are said to have taken.
#include "backends/vulkan/program/pace.h"

#include <gtest/gtest.h>

namespace ropewalk::vulkan {
namespace {

constexpr double kEstimate = 1e11;

// The longest submission of a step, in seconds, on a device of this rate.
double longest(const Pace& pace, double flop, double rate) {
  return std::min(pace.budget(), flop) / rate;
}

Pace measured() { return {kEstimate, Pace::Kind::measured}; }

TEST(Pace, BeforeAStepHasRunItIsTheEstimate) { EXPECT_EQ(measured().budget(), kEstimate); }

// A second and more a submission at first; two steps later each is as short as it should be.
TEST(Pace, OnASlowDeviceSubmissionsBecomeShort) {
  for (const double rate : {1e9, 1e10, 5e10, 1e11, 5e11}) {
    constexpr double kFlop = 2e11;  // 8 rows of a 13B model
    Pace pace = measured();
    EXPECT_GT(longest(pace, kFlop, rate), Pace::kSeconds);
    pace.ran(kFlop, kFlop / rate);
    EXPECT_TRUE(pace.ran(kFlop, kFlop / rate));
    EXPECT_LE(longest(pace, kFlop, rate), Pace::kSeconds) << rate;
    EXPECT_GT(longest(pace, kFlop, rate), Pace::kSeconds / 2) << rate;
  }
}

// 130 submissions by the estimate; of them every one costs tens of microseconds.
TEST(Pace, OnAFastDeviceThereAreFewAtOnce) {
  constexpr double kFlop = 1.3e13, kRate = 4e13;
  Pace pace = measured();
  EXPECT_TRUE(pace.ran(kFlop, kFlop / kRate));
  EXPECT_LE(longest(pace, kFlop, kRate), Pace::kSeconds);
  EXPECT_LE(kFlop / pace.budget(), 5);
}

// The first step of lavapipe compiles for seconds.
TEST(Pace, OneSlowStepChangesNothing) {
  constexpr double kFlop = 2e11, kRate = 2e12;
  Pace pace = measured();
  EXPECT_FALSE(pace.ran(kFlop, 30));
  EXPECT_FALSE(pace.ran(kFlop, kFlop / kRate));
  EXPECT_FALSE(pace.ran(kFlop, 30));
  EXPECT_EQ(pace.budget(), kEstimate);
  EXPECT_TRUE(pace.ran(kFlop, 30));
}

// Commands are cut anew when that is worth it, not with every step.
TEST(Pace, ItStaysWhileStepsTakeAboutAsLong) {
  constexpr double kFlop = 1.3e13, kRate = 4e13;
  Pace pace = measured();
  pace.ran(kFlop, kFlop / kRate);
  const double budget = pace.budget();
  for (const double as_long : {1.0, 1.3, 0.8, 1.3, 1.3, 0.5})
    EXPECT_FALSE(pace.ran(kFlop, as_long * kFlop / kRate)) << as_long;
  EXPECT_EQ(pace.budget(), budget);
}

// A device that becomes slow, for other programs use it, and is fast again.
TEST(Pace, ItFollowsADeviceThatChanges) {
  constexpr double kFlop = 1.3e13;
  Pace pace = measured();
  for (const double rate : {4e13, 2e12, 4e13}) {
    for (int step = 0; step < 3; ++step) pace.ran(kFlop, kFlop / rate);
    EXPECT_LE(longest(pace, kFlop, rate), Pace::kSeconds) << rate;
    EXPECT_GT(longest(pace, kFlop, rate), Pace::kSeconds / 5) << rate;
  }
}

// A step that is one submission anyway is recorded once.
TEST(Pace, ASmallStepStaysOneSubmission) {
  constexpr double kFlop = 1e9;
  Pace pace = measured();
  for (const double seconds : {1e-5, 1e-3, 0.09, 0.09})
    EXPECT_FALSE(pace.ran(kFlop, seconds)) << seconds;
}

TEST(Pace, AFixedOneStays) {
  Pace pace(1e6, Pace::Kind::fixed);
  for (const double seconds : {1e-6, 1e3, 1e3}) EXPECT_FALSE(pace.ran(1e9, seconds));
  EXPECT_EQ(pace.budget(), 1e6);
}

// Nothing that is multiplied, or a clock that did not move.
TEST(Pace, NothingIsLearntFromNothing) {
  Pace pace = measured();
  EXPECT_FALSE(pace.ran(0, 100));
  EXPECT_FALSE(pace.ran(0, 100));
  EXPECT_FALSE(pace.ran(1e13, 0));
  EXPECT_FALSE(pace.ran(2e11, 30));  // still the first that counts
  EXPECT_EQ(pace.budget(), kEstimate);
}

}  // namespace
}  // namespace ropewalk::vulkan
