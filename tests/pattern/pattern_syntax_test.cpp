#include "core/pattern/pattern_syntax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace ropewalk::test {
namespace {

using ::testing::StartsWith;

std::string refusal(const std::string& pattern) {
  try {
    check_pattern(pattern, "p");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    return error.what();
  }
  return "taken";
}

TEST(PatternSyntax, TakesTheFamiliesPatterns) {
  for (const char* pattern :
       {R"('s|'t|'re| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s*[\r\n]+)",
        R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|[\r\n]*+)",
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)", "[一-龥぀-ゟ゠-ヿ]+",
        R"(\s?[一-龥]+)"})
    EXPECT_EQ(refusal(pattern), "taken") << pattern;
}

TEST(PatternSyntax, SaysWhatThePatternNeeds) {
  EXPECT_TRUE(check_pattern(R"(\P{Lu})", "p").has_categories);
  EXPECT_TRUE(check_pattern(R"(\d)", "p").has_categories);
  EXPECT_TRUE(check_pattern(R"([\S])", "p").has_spaces);
  const PatternSyntax neither = check_pattern("[一-龥]+ ", "p");
  EXPECT_FALSE(neither.has_categories || neither.has_spaces);
  EXPECT_EQ(check_pattern(R"(\u4e00)", "p").pcre2, R"(\x{4e00})");
}

struct Refused {
  const char* pattern;
  const char* message;
};

TEST(PatternSyntax, RefusesByNameAndOffset) {
  const Refused cases[] = {
      {"", "p: the pattern is empty."},
      {R"(a\w)",
       "p: found \"\\w\" at byte 1 of the pattern, expected \\p{..} \\P{..} \\s \\S \\d \\r \\n "
       "\\t, a "
       "code point or an escaped mark. Take the model's tokenizer.model if it has one."},
      {R"(\h)", "p: found"},
      {R"(\bx)", "p: found"},
      {R"(\K)", "p: found"},
      {R"(\R)", "p: found"},
      {R"(\X)", "p: found"},
      {R"(\G)", "p: found"},
      {R"(\C)", "p: found"},
      {R"(\A)", "p: found"},
      {R"((a)\1)", "p: found"},
      {R"(\Qa\E)", "p: found"},
      {R"(\)", "p: found"},
      {"(?<=a)b", "p: found \"(?<=\" at byte 0 of the pattern, expected (?:, (?=, (?! or (?i: "},
      {"(?<n>a)", "p: found \"(?<n\" at byte 0"},
      {"(?R)", "p: found \"(?R)\" at byte 0"},
      {"(?C1)a", "p: found \"(?C1\" at byte 0"},
      {"(?i)a", "p: found \"(?i)\" at byte 0"},
      {"(?>a)", "p: found \"(?>a\" at byte 0"},
      {"(*UCP)a", "p: found \"(*\" at byte 0 of the pattern, which only PCRE2 knows"},
      {"a)", "p: found \")\" at byte 1 of the pattern, which closes no group"},
      {"(a", "p: found the end at byte 2 of the pattern, a group without its end"},
      {"[a", "p: found the end at byte 2 of the pattern, a class without its end"},
      {"[]", "p: found \"]\" at byte 1 of the pattern, an empty class"},
      {"[a[b]]", "p: found \"[\" at byte 2 of the pattern, expected \\[ within a class"},
      {"[a&&b]", "p: found \"&&\" at byte 2 of the pattern, an intersection of classes"},
      {R"(\p{Han})", "p: found \"\\p{Han}\" at byte 0 of the pattern, expected a general category"},
      {R"(\p{^L})", "p: found"},
      {R"(\pL)", "p: found"},
      {R"(\p{L)", "p: found"},
      {R"(\x{110000})", "p: found"},
      {R"(\xE9)", "p: found"},
      {R"(\u12)", "p: found"},
      {R"(\x{d800})", "p: found"},
      {"a{,2}", "p: found \"{,2}\" at byte 1 of the pattern, expected {n}, {n,} or {n,m}"},
      {"a{x", "p: found \"{x\" at byte 1"},
      {"a{1,3}+", "p: found \"+\" at byte 6 of the pattern, which means another thing after {n}"},
      {"a{2}?", "p: found \"?\" at byte 4"},
      {"(?i:ss)",
       "p: found \"ss\" at byte 4 of the pattern, which is one character to Oniguruma too"},
      {"(?i:\\p{L})", "p: found \"\\\" at byte 4 of the pattern, expected letters and ' alone"},
      {"(?i:é)", "p: found"},
      {"(?i:[a1])", "p: found \"1\" at byte 6 of the pattern, expected letters alone"},
      {"\\p{L}\xf0\xb1\x8d\x90", "p: found \\p beside characters that are newer than"},
      {"\\p{L}[一-鿿\xea\x9f\x80-\xea\x9f\xbf]", "p: found \\p beside characters"},
  };
  for (const Refused& refused : cases)
    EXPECT_THAT(refusal(refused.pattern), StartsWith(refused.message)) << refused.pattern;
  EXPECT_EQ(refusal(std::string(8193, 'a')),
            "p: found a pattern of 8193 bytes, expected at most 8192.");
}

}  // namespace
}  // namespace ropewalk::test
