#include "core/sample/rng.h"

#include <gmock/gmock.h>

#include <vector>

namespace ropewalk::test {
namespace {

using testing::ElementsAre;

// DEShawResearch/random123, tests/kat_vectors, "philox4x32 10".
TEST(Philox, KnownAnswers) {
  EXPECT_THAT(philox4x32_10({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(
      philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(SequenceRandom, FirstDrawIsTheKnownBlock) {
  // The first two words of the all-zero answer, as (0xe169c58d << 32 | 0x6627e8d5) >> 11 of 2^53.
  EXPECT_EQ(SequenceRandom(0).uniform(), static_cast<double>(0xe169c58d6627e8d5u >> 11) / 0x1p53);
}

TEST(SequenceRandom, SameSeedSameDrawsOtherSeedOthers) {
  SequenceRandom a(42), b(42), low(43), high(42 + (uint64_t{1} << 32));
  bool low_differs = false, high_differs = false;
  for (int i = 0; i < 100; ++i) {
    const double draw = a.uniform();
    EXPECT_EQ(draw, b.uniform());
    low_differs |= draw != low.uniform();
    high_differs |= draw != high.uniform();
  }
  EXPECT_TRUE(low_differs);
  EXPECT_TRUE(high_differs);
}

// Sixteen bins of 100000 draws: chi square with 15 degrees of freedom exceeds 44.3 once in 10^4.
TEST(SequenceRandom, DrawsAreEvenlySpreadOverTheUnitInterval) {
  SequenceRandom random(7);
  std::vector<int> bins(16);
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double draw = random.uniform();
    ASSERT_GE(draw, 0);
    ASSERT_LT(draw, 1);
    ++bins[static_cast<size_t>(draw * 16)];
  }
  double chi_square = 0;
  for (const int count : bins) {
    const double expected = kDraws / 16.0;
    chi_square += (count - expected) * (count - expected) / expected;
  }
  EXPECT_LT(chi_square, 44.3);
}

}  // namespace
}  // namespace ropewalk::test
