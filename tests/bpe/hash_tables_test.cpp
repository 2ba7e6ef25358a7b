// Look-ups of names and pairs; the hash must spread names over a table's low bits.
#include "core/bpe/hash_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ropewalk::test {
namespace {

// Of n keys in 4 n slots, chance leaves 1 - (1 - exp(-1/4)) * 4 = 11.5 % in a slot that is taken.
TEST(HashTables, NamesAreSpreadAsByChance) {
  constexpr size_t kNames = 1 << 16;
  const auto taken_twice = [](auto&& name_of) {
    std::vector<bool> taken(4 * kNames);
    size_t twice = 0;
    for (size_t i = 0; i < kNames; ++i) {
      const size_t slot = seeded_hash(name_of(i)) % taken.size();
      twice += taken[slot];
      taken[slot] = true;
    }
    return static_cast<double>(twice) / kNames;
  };
  const auto letters = [](size_t i) {
    std::string name;
    for (; i > 0; i /= 26) name += static_cast<char>('a' + i % 26);
    return name;
  };
  EXPECT_LT(taken_twice(letters), 0.125);
  EXPECT_LT(taken_twice([](size_t i) { return std::to_string(i); }), 0.125);
  EXPECT_LT(taken_twice([&](size_t i) { return "a long beginning " + letters(i); }), 0.125);
  const auto padded = [&](size_t i) { return std::string(i % 512, 'a') + "/" + letters(i / 512); };
  EXPECT_LT(taken_twice(padded), 0.125);
}

TEST(HashTables, TheFirstIdOfANameStays) {
  NameTable names(3);
  EXPECT_TRUE(names.insert("ab", 7));
  EXPECT_TRUE(names.insert("a", 8));
  EXPECT_FALSE(names.insert("ab", 9));
  EXPECT_EQ(names.find("ab"), 7);
  EXPECT_EQ(names.find("a"), 8);
  EXPECT_EQ(names.find("b"), -1);
  EXPECT_EQ(names.find(""), -1);
}

TEST(HashTables, ALaterMergeReplacesTheEarlier) {
  MergeTable merges(2);
  merges.insert(1, 2, {.rank = 0, .id = 3});
  merges.insert(2, 1, {.rank = 1, .id = 4});
  merges.insert(1, 2, {.rank = 2, .id = 3});
  ASSERT_NE(merges.find(1, 2), nullptr);
  EXPECT_EQ(merges.find(1, 2)->rank, 2u);
  EXPECT_EQ(merges.find(2, 1)->id, 4);
  EXPECT_EQ(merges.find(1, 1), nullptr);
}

}  // namespace
}  // namespace ropewalk::test
