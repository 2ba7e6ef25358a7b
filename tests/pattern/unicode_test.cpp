// Every code point against what tokenizers 0.22.2 finds for a class
// (tools/tokenizer_json/unicode_tables.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/pattern/matches.h"

namespace ropewalk::test {
namespace {

std::string utf8(uint32_t point) {
  if (point < 0x80) return std::string(1, static_cast<char>(point));
  std::string text;
  const int continuations = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  const uint32_t leads[] = {0, 0xc0, 0xe0, 0xf0};
  text += static_cast<char>(leads[continuations] | point >> (6 * continuations));
  for (int i = continuations - 1; i >= 0; --i)
    text += static_cast<char>(0x80 | (point >> (6 * i) & 0x3f));
  return text;
}

// "41-5a 61": the code points of a line.
std::vector<bool> read_ranges(std::istringstream& words) {
  std::vector<bool> members(0x110000);
  for (std::string word; words >> word;) {
    uint32_t first = 0, last = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, first, 16);
    last = first;
    if (stop != end) std::from_chars(stop + 1, end, last, 16);
    for (uint32_t point = first; point <= last; ++point) members[point] = true;
  }
  return members;
}

// A chunk at a time: each match is one character, and the chunk's characters are in order.
std::vector<bool> members_of(const Pattern& pattern) {
  std::vector<bool> members(0x110000);
  constexpr uint32_t kChunk = 0x800;  // the surrogates are one
  for (uint32_t begin = 0; begin < 0x110000; begin += kChunk) {
    if (begin == 0xd800) continue;
    std::string text;
    std::vector<uint32_t> starts;
    for (uint32_t point = begin; point < begin + kChunk; ++point) {
      starts.push_back(static_cast<uint32_t>(text.size()));
      text += utf8(point);
    }
    std::vector<TextRange> found;
    pattern.find(with_stand_ins(text, pattern.stand_ins()), {0, static_cast<uint32_t>(text.size())},
                 found);
    for (const TextRange& match : found) {
      const auto at = std::lower_bound(starts.begin(), starts.end(), match.begin);
      members[begin + static_cast<uint32_t>(at - starts.begin())] = true;
    }
  }
  return members;
}

TEST(Unicode, EveryCodePointIsInTheSameClasses) {
  std::ifstream file(RW_FIXTURES "/bpe/unicode-classes.txt");
  size_t classes = 0;
  for (std::string line; std::getline(file, line); ++classes) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    const std::vector<bool> expected = read_ranges(words);
    const std::vector<bool> found = name == "\\w" ? members_of(Pattern::word_character())
                                                  : members_of(Pattern::regex(name, "t"));
    size_t differ = 0;
    for (uint32_t point = 0; point < 0x110000; ++point) {
      if (expected[point] == found[point]) continue;
      if (++differ <= 3) ADD_FAILURE() << name << " and U+" << std::hex << point;
    }
    EXPECT_EQ(differ, 0u) << name;
  }
  EXPECT_EQ(classes, 14u);
}

TEST(Unicode, StandInsKeepTheLength) {
  for (uint32_t point = 0; point < 0x110000; ++point) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const std::string character = utf8(point);
    const std::string stand_in = with_stand_ins(character, StandIns::all);
    ASSERT_EQ(stand_in.size(), character.size()) << point;
    ASSERT_EQ(needs_stand_ins(character, StandIns::all), stand_in != character) << point;
  }
}

}  // namespace
}  // namespace ropewalk::test
