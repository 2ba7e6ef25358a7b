#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/json/json.h"

namespace ropewalk::test {
namespace {

const JsonSource kSource{"config.json", ExitCode::model};

class JsonFieldsTest : public testing::Test {
 protected:
  std::string refusal(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::model);
      return error.what();
    }
    return "";
  }

  const Json json_ = parse_json(
      R"({"size": 4096, "float": 4096.0, "power": 4.096e3, "half": 4096.5, "text": "4096",
          "negative": -1, "huge": 18446744073709551616, "flag": true, "nothing": null,
          "rope": {"factor": "2", "list": [1, 2.5], "mixed": [1, "a"]}})",
      kSource);
  const JsonFields fields_{json_, kSource, ""};
};

TEST_F(JsonFieldsTest, TakesExactIntegersInAnySpelling) {
  EXPECT_EQ(fields_.unsigned_integer("size", 1, 5000), 4096u);
  EXPECT_EQ(fields_.unsigned_integer("float", 1, 5000), 4096u);
  EXPECT_EQ(fields_.unsigned_integer("power", 4096, 4096), 4096u);
}

TEST_F(JsonFieldsTest, RefusesWhatIsNoIntegerInRange) {
  const auto integer = [&](const char* key) {
    return refusal([&] { fields_.unsigned_integer(key, 1, 4095); });
  };
  const std::string expected = "expected an integer from 1 to 4095.";
  EXPECT_EQ(integer("size"), "config.json: size: found 4096, " + expected);
  EXPECT_EQ(integer("half"), "config.json: half: found 4096.5, " + expected);
  EXPECT_EQ(integer("text"), "config.json: text: found \"4096\", " + expected);
  EXPECT_EQ(integer("negative"), "config.json: negative: found -1, " + expected);
  EXPECT_EQ(integer("flag"), "config.json: flag: found true, " + expected);
  EXPECT_EQ(integer("rope"), "config.json: rope: found an object, " + expected);
  EXPECT_EQ(integer("absent"), "config.json: absent: is missing, " + expected);
  EXPECT_EQ(integer("nothing"), "config.json: nothing: is missing, " + expected);
  EXPECT_THAT(integer("huge"), testing::HasSubstr("found 1.8446744073709552e+19"));
}

TEST_F(JsonFieldsTest, NamesThePathOfAField) {
  const JsonFields rope = fields_.child("rope");
  EXPECT_EQ(refusal([&] { rope.number("factor"); }),
            "config.json: rope.factor: found \"2\", expected a number.");
  EXPECT_EQ(refusal([&] { rope.numbers("mixed"); }),
            "config.json: rope.mixed: found \"a\", expected a list of numbers.");
  EXPECT_EQ(rope.numbers("list"), (std::vector<double>{1, 2.5}));
}

TEST_F(JsonFieldsTest, ReadsTheOtherTypes) {
  EXPECT_TRUE(fields_.boolean("flag"));
  EXPECT_EQ(fields_.text("text"), "4096");
  EXPECT_EQ(fields_.number("half"), 4096.5);
  EXPECT_THAT(refusal([&] { fields_.boolean("size"); }), testing::HasSubstr("true or false"));
  EXPECT_THAT(refusal([&] { fields_.text("size"); }), testing::HasSubstr("expected a text"));
}

TEST_F(JsonFieldsTest, NullIsAbsent) {
  EXPECT_FALSE(fields_.has("nothing"));
  EXPECT_FALSE(fields_.has("absent"));
  EXPECT_TRUE(fields_.has("size"));
}

TEST_F(JsonFieldsTest, NeedsAnObject) {
  EXPECT_EQ(refusal([&] { fields_.child("size"); }),
            "config.json: size: found 4096, expected an object.");
  const Json list = Json::array();
  EXPECT_EQ(refusal([&] { JsonFields(list, kSource, ""); }),
            "config.json: found a list, expected an object.");
}

}  // namespace
}  // namespace ropewalk::test
