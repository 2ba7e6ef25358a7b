#include "core/quantize/checksum.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace ropewalk::test {
namespace {

std::string sum_of(std::span<const std::byte> bytes) {
  quantize::Checksum sum;
  sum.add(bytes);
  return sum.text();
}

TEST(Checksum, ChangesWithEveryBitAndPairOfBits) {
  std::vector<std::byte> bytes(100, std::byte{0x5a});
  const std::string whole = sum_of(bytes);
  const auto flip = [&](size_t bit) { bytes[bit / 8] ^= std::byte(1u << bit % 8); };
  for (size_t bit = 0; bit < 800; ++bit) {
    flip(bit);
    ASSERT_NE(sum_of(bytes), whole) << bit;
    for (size_t other = bit + 1; other < 800; ++other) {
      flip(other);
      ASSERT_NE(sum_of(bytes), whole) << bit << " and " << other;
      flip(other);
    }
    flip(bit);
  }
}

TEST(Checksum, ChangesWithTheLength) {
  const std::vector<std::byte> zeros(100);
  std::set<std::string> seen;
  for (size_t size = 0; size <= zeros.size(); ++size)
    seen.insert(sum_of(std::span(zeros).first(size)));
  EXPECT_EQ(seen.size(), 101u);
}

}  // namespace
}  // namespace ropewalk::test
