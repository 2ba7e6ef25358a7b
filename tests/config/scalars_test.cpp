// None of YAML's coercions happens. The traps are those of YAML 1.1 (yaml.org/type) and of the 1.2
// core schema.
#include "core/config/scalars.h"

#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

ConfigValue plain(const char* text) { return make_scalar(text, {}); }
ConfigValue quoted(const char* text) {
  ConfigValue value = plain(text);
  value.quoted = true;
  return value;
}

TEST(Scalars, Booleans) {
  EXPECT_EQ(as_boolean(plain("true")), true);
  EXPECT_EQ(as_boolean(plain("false")), false);
  for (const char* text : {"True", "TRUE", "yes", "no", "on", "off", "y", "n", "1", "0", ""})
    EXPECT_FALSE(as_boolean(plain(text))) << text;
  EXPECT_FALSE(as_boolean(quoted("true")));
}

TEST(Scalars, Integers) {
  EXPECT_EQ(as_integer(plain("0")), 0);
  EXPECT_EQ(as_integer(plain("-9223372036854775808")), INT64_MIN);
  EXPECT_EQ(as_unsigned(plain("18446744073709551615")), UINT64_MAX);
  for (const char* text : {"", "-", "+1", "1.0", "1e3", "0x10", "0o17", "010", "-01", "1_000", " 1",
                           "1 ", "9223372036854775808", "60:00"})
    EXPECT_FALSE(as_integer(plain(text))) << text;
  EXPECT_FALSE(as_unsigned(plain("-1")));
  EXPECT_FALSE(as_unsigned(plain("18446744073709551616")));
  EXPECT_FALSE(as_integer(quoted("1")));
}

TEST(Scalars, Numbers) {
  EXPECT_EQ(as_number(plain("2")), 2.0);
  EXPECT_EQ(as_number(plain("-0.25")), -0.25);
  EXPECT_EQ(as_number(plain("1e-3")), 0.001);
  EXPECT_EQ(as_number(plain(".5")), 0.5);
  for (const char* text : {"", "-", ".", ".inf", "-.inf", "inf", "infinity", ".nan", "nan", "NaN",
                           "1e400", "0x1p3", "010", "1_0", "+1", "1,5", "--1"})
    EXPECT_FALSE(as_number(plain(text))) << text;
  EXPECT_FALSE(as_number(quoted("2")));
}

TEST(Scalars, Texts) {
  for (const char* text : {"a", "vicuna-v1.1", "1.0.0", "none", "-", "--", "0.9a", "nullable",
                           "inf", "12 monkeys", "..", "e5"})
    EXPECT_EQ(as_text(plain(text)), text);
  for (const char* text :
       {"true", "False", "YES",   "no",   "On",   "off",  "null",  "~",    "",   "1",
        "-2.5", "+3",    "1e400", "0x1f", "0o17", ".inf", "-.INF", ".NaN", ".5", "5."})
    EXPECT_FALSE(as_text(plain(text))) << text;
  for (const char* text : {"true", "", "1", "~"}) EXPECT_EQ(as_text(quoted(text)), text);
}

TEST(Scalars, AreNotListsMapsOrNothing) {
  for (const ValueKind kind : {ValueKind::null, ValueKind::list, ValueKind::map}) {
    const ConfigValue value = make_value(kind, {});
    EXPECT_FALSE(as_boolean(value));
    EXPECT_FALSE(as_integer(value));
    EXPECT_FALSE(as_number(value));
    EXPECT_FALSE(as_text(value));
  }
}

TEST(Scalars, AreDescribed) {
  EXPECT_EQ(describe(plain("many")), "many");
  EXPECT_EQ(describe(quoted("8")), "\"8\"");
  EXPECT_EQ(describe(make_value(ValueKind::null, {})), "nothing");
  EXPECT_EQ(describe(make_value(ValueKind::list, {})), "a list");
  EXPECT_EQ(describe(make_value(ValueKind::map, {})), "a map");
  EXPECT_EQ(mismatch(plain("\x1b"), "a number"), "found \\x1b, expected a number");
}

}  // namespace
}  // namespace ropewalk::test
