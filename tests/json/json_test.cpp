#include "core/json/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cpu_time.h"

namespace ropewalk::test {
namespace {

const JsonSource kTextSource{"config.json", ExitCode::model};

// The sentence with which `text` is refused; empty where it is taken.
std::string refusal(std::string_view text) {
  try {
    parse_json(text, kTextSource);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    return error.what();
  }
  return "";
}

TEST(ParseJson, KeepsValuesAndTheOrderOfKeys) {
  const Json json =
      parse_json(R"({"b": [1, -2, 0.5, true, null, "ü"], "a": {"c": {}}})", kTextSource);
  EXPECT_EQ(json.dump(), R"({"b":[1,-2,0.5,true,null,"ü"],"a":{"c":{}}})");
}

TEST(ParseJson, TakesAScalarAndWhitespaceAround) {
  EXPECT_EQ(parse_json(" \r\n\t7 \n", kTextSource), 7);
}

struct Refused {
  const char* name;
  std::string text;
  const char* pattern;
};
class ParseJsonRefuses : public testing::TestWithParam<Refused> {};

TEST_P(ParseJsonRefuses, WithPlaceAndReason) {
  EXPECT_THAT(refusal(GetParam().text), testing::ContainsRegex(GetParam().pattern));
}

INSTANTIATE_TEST_SUITE_P(
    Table, ParseJsonRefuses,
    testing::Values(
        Refused{"Empty", "", "^config.json: the file is empty"},
        Refused{"Blank", "  ", "not valid JSON at line 1, column 3"},
        Refused{"ByteOrderMark", "\xef\xbb\xbf{}", "byte order mark"},
        Refused{"NotUtf8", "{\"a\": \"\xff\"}", "not UTF-8 at line 1, column 8"},
        Refused{"Utf16", std::string("\xff\xfe{\0}\0", 6), "not UTF-8 at line 1, column 1"},
        Refused{"LoneSurrogate", R"("\ud800")", "not valid JSON at line 1, column"},
        Refused{"Nul", std::string("{}\0{}", 5), "line 1, column 3: a NUL"},
        Refused{"Truncated", R"({"a": [1,)", "not valid JSON at line 1, column 10"},
        Refused{"TrailingBytes", "{} x", "not valid JSON at line 1, column 4"},
        Refused{"TwoValues", "{}{}", "not valid JSON at line 1, column 3"},
        Refused{"TrailingComma", "[1,]", "not valid JSON at line 1, column 4"},
        Refused{"Comment", "// no\n{}", "not valid JSON at line 1, column"},
        Refused{"OnALaterLine", "{\n  \"a\": 1,\n  b\n}", "not valid JSON at line 3, column 3"},
        Refused{"SingleQuotes", "{'a': 1}", "not valid JSON at line 1, column 2"},
        Refused{"NotANumber", "[NaN]", "not valid JSON at line 1, column 2"},
        Refused{"TooLargeANumber", "[1e400]", "line 1, column 6: number overflow parsing .1e400"},
        Refused{"DuplicateKey", R"({"a": 1, "b": 2, "a": 3})",
                "duplicate key \"a\" before line 1, column 21"},
        Refused{"EscapedDuplicateKey", R"({"a": 1, "\u0061": 3})", "duplicate key \"a\""},
        Refused{"DeepDuplicateKey", R"([{"x": {"k": 1, "k": 1}}])", "duplicate key \"k\""},
        Refused{"ControlBytesInAKey", R"({"\u001b[31m": 1, "\u001b[31m": 2})",
                R"(duplicate key "\\x1b\[31m")"}),
    [](const auto& row) { return row.param.name; });

TEST(ParseJson, SameKeyInTwoObjectsIsNoDuplicate) {
  EXPECT_EQ(refusal(R"([{"a": 1}, {"a": {"a": 1}}])"), "");
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJson, Nests64LevelsAndNoMore) {
  EXPECT_EQ(refusal(nested(64)), "");
  EXPECT_THAT(refusal(nested(65)),
              testing::HasSubstr("nested too deeply at line 1, column 65, expected at "
                                 "most 64 levels"));
  EXPECT_THAT(refusal(std::string(100'000, '[')), testing::HasSubstr("nested too deeply"));
}

TEST(ParseJson, ManyKeysAreNotQuadratic) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"key" + std::to_string(i) + "\":0,";
  text.back() = '}';
  const double start = cpu_seconds();
  EXPECT_EQ(parse_json(text, kTextSource).size(), 200'000u);
  EXPECT_LT(cpu_seconds() - start, 5);
}

TEST(ParseJson, BoundsTheNumberOfValues) {
  std::string text = "[0";
  for (int i = 0; i < 2'000'000; ++i) text += ",0";
  EXPECT_THAT(refusal(text + "]"), testing::HasSubstr("more than 2000000 JSON values"));
}

}  // namespace
}  // namespace ropewalk::test
