// Barriers come where one dispatch must see or must not disturb another, and nowhere else.
#include "backends/vulkan/program/hazards.h"

#include <gtest/gtest.h>

namespace ropewalk::vulkan {
namespace {

constexpr Range kA{0, 100}, kB{100, 200}, kC{200, 300}, kAcross{90, 110};

TEST(Hazards, ReadAfterWriteWaits) {
  Hazards hazards;
  EXPECT_FALSE(hazards.add({kA}, {kB}));
  EXPECT_TRUE(hazards.add({kB}, {kC}));
}

TEST(Hazards, WriteAfterWriteAndWriteAfterReadWait) {
  Hazards hazards;
  EXPECT_FALSE(hazards.add({kA}, {kB}));
  EXPECT_TRUE(hazards.add({}, {kB}));
  hazards.clear();
  EXPECT_FALSE(hazards.add({kA}, {kB}));
  EXPECT_TRUE(hazards.add({}, {kA}));
}

TEST(Hazards, ReadAfterReadAndNeighboursDoNotWait) {
  Hazards hazards;
  EXPECT_FALSE(hazards.add({kA}, {kB}));
  EXPECT_FALSE(hazards.add({kA}, {kC}));
}

TEST(Hazards, APartOfARangeIsEnough) {
  Hazards hazards;
  EXPECT_FALSE(hazards.add({kC}, {kA}));
  EXPECT_TRUE(hazards.add({kAcross}, {}));
}

TEST(Hazards, ABarrierForgetsWhatWasBefore) {
  Hazards hazards;
  EXPECT_FALSE(hazards.add({kA}, {kB}));
  EXPECT_TRUE(hazards.add({kB}, {kC}));
  EXPECT_FALSE(hazards.add({kB}, {kA}));
  EXPECT_TRUE(hazards.add({kC}, {}));
}

TEST(Hazards, AResultIsRememberedUntilItOrItsSourceIsWritten) {
  const Derived derived{kA, kB, {4, 1, 2, 3}};
  Hazards hazards;
  EXPECT_FALSE(hazards.remembers(derived));
  hazards.remember(derived);
  hazards.add({kA, kB}, {kC, Range{}});
  hazards.clear();
  EXPECT_TRUE(hazards.remembers(derived));
  for (const Range& written : {kA, kB, kAcross}) {
    hazards.remember(derived);
    hazards.add({}, {kC, written});
    EXPECT_FALSE(hazards.remembers(derived));
  }
}

TEST(Hazards, AResultOfOtherParametersIsNotRemembered) {
  Hazards hazards;
  hazards.remember({kA, kB, {4, 1, 2, 3}});
  EXPECT_FALSE(hazards.remembers({kA, kB, {8, 1, 2, 3}}));
  EXPECT_FALSE(hazards.remembers({kA, kC, {4, 1, 2, 3}}));
  EXPECT_FALSE(hazards.remembers({kC, kB, {4, 1, 2, 3}}));
}

}  // namespace
}  // namespace ropewalk::vulkan
