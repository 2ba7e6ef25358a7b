#include "core/base/utf8.h"

#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

// Literals: Unicode 15, section 3.9, table 3-7 and the ill-formed examples of tables 3-8 to 3-11.
TEST(Utf8, MeasuresWellFormedSequences) {
  EXPECT_EQ(utf8_sequence_length("a"), 1u);
  EXPECT_EQ(utf8_sequence_length("\xc3\xa9"), 2u);
  EXPECT_EQ(utf8_sequence_length("\xe6\xa8\xa1"), 3u);
  EXPECT_EQ(utf8_sequence_length("\xf0\x9f\xa6\x99"), 4u);
  EXPECT_EQ(utf8_sequence_length("\xf4\x8f\xbf\xbf"), 4u);
}

TEST(Utf8, RefusesIllFormedSequences) {
  for (const char* text :
       {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\x80", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe6\xa8", "\xf0\x9f\xa6"}) {
    EXPECT_EQ(utf8_sequence_length(text), 0u) << text;
  }
  EXPECT_EQ(utf8_sequence_length(""), 0u);
}

TEST(Utf8, FindsTheFirstError) {
  EXPECT_EQ(utf8_first_error("abc"), std::string_view::npos);
  EXPECT_EQ(utf8_first_error("ab\xc3\xa9\xff"), 4u);
}

}  // namespace
}  // namespace ropewalk::test
