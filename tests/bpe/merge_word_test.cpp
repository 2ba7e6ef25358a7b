#include "core/bpe/merge_word.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/bpe/byte_map.h"
#include "tests/cpu_time.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;

std::vector<int32_t> merged(const MergeTable& merges, std::vector<int32_t> symbols) {
  merge_word(merges, symbols, 0);
  return symbols;
}

TEST(MergeWord, TheLowestRankThenTheLeftmost) {
  MergeTable merges(3);
  merges.insert(1, 2, {1, 10});
  merges.insert(2, 3, {0, 11});
  merges.insert(1, 1, {2, 12});
  EXPECT_THAT(merged(merges, {1, 2, 3}), ElementsAre(1, 11));
  EXPECT_THAT(merged(merges, {1, 1, 1}), ElementsAre(12, 1));
  EXPECT_THAT(merged(merges, {4}), ElementsAre(4));
  std::vector<int32_t> behind = {2, 3, 1, 2};
  merge_word(merges, behind, 2);
  EXPECT_THAT(behind, ElementsAre(2, 3, 10));
}

// The definition, a merge at a time.
std::vector<int32_t> slowly(const MergeTable& merges, std::vector<int32_t> symbols) {
  for (;;) {
    size_t best = symbols.size();
    uint32_t rank = UINT32_MAX;
    for (size_t i = 0; i + 1 < symbols.size(); ++i)
      if (const Merge* merge = merges.find(symbols[i], symbols[i + 1]); merge && merge->rank < rank)
        rank = merge->rank, best = i;
    if (best == symbols.size()) return symbols;
    symbols[best] = merges.find(symbols[best], symbols[best + 1])->id;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(MergeWord, LongAndShortWordsFollowTheDefinition) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    MergeTable merges(60);
    for (uint32_t rank = 0; rank < 60; ++rank)
      merges.insert(static_cast<int32_t>(random() % 20), static_cast<int32_t>(random() % 20),
                    {rank, static_cast<int32_t>(random() % 40)});
    for (const size_t count : {2, 63, 64, 65, 66, 300}) {
      std::vector<int32_t> symbols(count);
      for (int32_t& symbol : symbols) symbol = static_cast<int32_t>(random() % 20);
      EXPECT_EQ(merged(merges, symbols), slowly(merges, symbols)) << round << " " << count;
    }
  }
}

TEST(MergeWord, AWordOfAMillionLettersTakesSeconds) {
  MergeTable merges(8);
  for (int32_t i = 0; i < 8; ++i) merges.insert(i, i, {static_cast<uint32_t>(i), i + 1});
  const double start = cpu_seconds();
  EXPECT_EQ(merged(merges, std::vector<int32_t>(1'000'000, 0)).size(), 3907u);
  EXPECT_LT(cpu_seconds() - start, 5);
}

TEST(ByteMap, IsThatOfGpt2) {
  EXPECT_EQ(byte_character(' '), "\u0120");
  EXPECT_EQ(byte_character('\n'), "\u010a");
  EXPECT_EQ(byte_character(0xad), "\u0143");
  EXPECT_EQ(byte_character(0xff), "\u00ff");
  for (int byte = 0; byte < 256; ++byte)
    EXPECT_EQ(bytes_of_characters(byte_character(static_cast<uint8_t>(byte))),
              std::string(1, static_cast<char>(byte)));
  EXPECT_EQ(bytes_of_characters("<\uff5cUser\uff5c>"), std::nullopt);
  EXPECT_EQ(bytes_of_characters("a b"), std::nullopt);
}

}  // namespace
}  // namespace ropewalk::test
