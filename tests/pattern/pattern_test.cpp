#include "core/pattern/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/cpu_time.h"
#include "tests/pattern/matches.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> regex_matches(const char* expression, std::string_view text) {
  return matches(Pattern::regex(expression, "t"), text);
}

// What tokenizers 0.22.2 cuts of the same texts with Split(Regex(expression), "removed", invert).
TEST(Pattern, FindsWhatOnigurumaFinds) {
  EXPECT_THAT(regex_matches(R"(\s+$)", "a  \n b  "), ElementsAre("  ", "  "));
  EXPECT_THAT(regex_matches(R"(^\s*b)", "a\n b"), ElementsAre(" b"));
  EXPECT_THAT(regex_matches(".", "a\nb\r"), ElementsAre("a", "b", "\r"));
  EXPECT_THAT(regex_matches("(?i:s)", "xſS"), ElementsAre("ſ", "S"));
  EXPECT_THAT(regex_matches(R"(\d+)", "1٣a"), ElementsAre("1٣"));
  EXPECT_THAT(regex_matches("[^\\S]+", "a\xc2\x85 b\xe1\xa0\x8e"), ElementsAre("\xc2\x85 "));
  EXPECT_THAT(regex_matches(R"([\x{41}-\x{43}]+|\u0061)", "xABCa"), ElementsAre("ABC", "a"));
  EXPECT_THAT(regex_matches("a{1,2}?", "aaa"), ElementsAre("a", "a", "a"));
}

TEST(Pattern, EmptyMatchesStandOnceAtAPlace) {
  EXPECT_THAT(regex_matches("x*", "axxb"), ElementsAre("", "xx", ""));
  EXPECT_THAT(regex_matches("x*", "é"), ElementsAre("", ""));
}

TEST(Pattern, SeesNothingOutsideOfThePiece) {
  const Pattern pattern = Pattern::regex(R"(\s+(?!\S)|^b)", "t");
  std::vector<TextRange> found;
  pattern.find("a  b", {0, 3}, found);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].begin, 1u);
  EXPECT_EQ(found[0].end, 3u);
  found.clear();
  pattern.find("ab", {1, 2}, found);
  EXPECT_EQ(found.size(), 1u);
}

TEST(Pattern, OfALiteralIsTheText) {
  EXPECT_THAT(matches(Pattern::literal("aa"), "aaaaa."), ElementsAre("aa", "aa"));
  EXPECT_THAT(matches(Pattern::literal("."), "ab"), IsEmpty());
}

// PCRE2 10.42 does not know these letters and this digit, and has U+180E among the spaces.
TEST(Pattern, KnowsUnicode16) {
  EXPECT_THAT(regex_matches(R"(\p{L}+)", "a\U00031350\uA7CB\U00010D50 b"),
              ElementsAre("a\U00031350\uA7CB\U00010D50", "b"));
  EXPECT_THAT(regex_matches(R"(\p{N})", "\U00010D40"), ElementsAre("\U00010D40"));
  EXPECT_THAT(regex_matches(R"(\s)", "a\u180eb"), IsEmpty());
  EXPECT_THAT(regex_matches(R"([\p{L}\s])", "\u180e\u1c89"), ElementsAre("\u1c89"));
}

TEST(Pattern, EndlessWorkIsRefused) {
  const std::string text = std::string(40, 'a') + "!";
  try {
    regex_matches(R"((\p{L}+)+$)", text);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::limit);
    EXPECT_STREQ(error.what(),
                 "text: the tokenizer's pattern gave up: match limit exceeded. Break the run of "
                 "characters, or give the text in parts.");
  }
}

// DeepSeek's fourth pattern: the square of the run's length without more ado.
TEST(Pattern, ARunOfSpacesTakesLinearTime) {
  const double start = cpu_seconds();
  EXPECT_THAT(regex_matches(R"(\s+$)", std::string(1'000'000, ' ') + "5"), IsEmpty());
  EXPECT_LT(cpu_seconds() - start, 5);
}

TEST(Pattern, WhatPcre2RefusesHasItsOffset) {
  try {
    Pattern::regex("a|*", "tokenizer.json: p");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    EXPECT_STREQ(error.what(),
                 "tokenizer.json: p: PCRE2 refuses the pattern at byte 2: quantifier does not "
                 "follow a repeatable item. The file is damaged: download it again.");
  }
}

}  // namespace
}  // namespace ropewalk::test
