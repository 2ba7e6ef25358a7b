#include "core/config/yaml.h"

#include "tests/config/config_test.h"

namespace ropewalk::test {
namespace {

TEST(Yaml, KeepsTextShapeAndPlace) {
  const ConfigValue tree = parse_yaml("a: 1.50\nb:\n  - \"x\"\n  - {k: ~}\nc: |\n  t\n", "f");
  EXPECT_EQ(tree.find("a")->text, "1.50");
  EXPECT_FALSE(tree.find("a")->quoted);
  EXPECT_EQ(tree.find("a")->where.text(), "f:1:4");
  const ConfigValue& list = *tree.find("b");
  ASSERT_EQ(list.items.size(), 2u);
  EXPECT_TRUE(list.items[0].quoted);
  EXPECT_EQ(list.items[0].where.text(), "f:3:5");
  EXPECT_EQ(list.items[1].find("k")->kind, ValueKind::null);
  EXPECT_TRUE(tree.find("c")->quoted);
  EXPECT_EQ(tree.find("c")->text, "t\n");
  EXPECT_EQ(tree.find("d"), nullptr);
  EXPECT_EQ(tree.entries[1].where.text(), "f:2:1");
}

TEST(Yaml, TakesJson) {
  const ConfigValue tree = parse_yaml(R"({"a": [1, "two"], "b": {"c": null}})", "f");
  EXPECT_EQ(tree.find("a")->items[1].text, "two");
  EXPECT_EQ(tree.find("b")->find("c")->kind, ValueKind::null);
}

TEST(Yaml, RefusesAQuoteThatIsNeverClosed) {
  const auto said = [](const std::string& text) {
    return error_of([&] { parse_yaml(text, "f"); });
  };
  const std::string refused = "found a quote that is never closed, expected its end.";
  EXPECT_NE(said("m: x\nsystem: \"foo\nstop: []\n").find("f:2:9: " + refused), std::string::npos);
  EXPECT_NE(said("p:\n  system: 'it''s\n  bos: auto\nq: 1\n").find("f:2:11: " + refused),
            std::string::npos);
  EXPECT_NE(said("a: \"x \\\" y\n").find("f:1:4: " + refused), std::string::npos);
  EXPECT_NE(said("\xef\xbb\xbf"
                 "a: \"x\n")
                .find("f:1:4: " + refused),
            std::string::npos);
  EXPECT_NE(said("\"a: 1\n").find(refused), std::string::npos);
  // A later quote closes it, and what is wrong shows only there.
  EXPECT_THAT(
      said("system: \"foo\nname: \"x\"\n"),
      testing::HasSubstr("The quote of line 1, column 9 may not be closed where it should"));
}

TEST(Yaml, TakesQuotesOverSeveralLines) {
  EXPECT_EQ(parse_yaml("a: \"x\n  y\"\nb: 1\n", "f").find("a")->text, "x y");
  EXPECT_EQ(parse_yaml("a: 'it''s'\nb: ''\n", "f").find("a")->text, "it's");
  EXPECT_EQ(parse_yaml("a: |\n  \"x\n", "f").find("a")->text, "\"x\n");
  EXPECT_EQ(parse_yaml("a: \"\\\\\"\n", "f").find("a")->text, "\\");
  EXPECT_EQ(parse_yaml("\xc3\xa9: 'x'\n", "f").entries[0].value.text, "x");
}

// Every prefix of a good file: a tree or words, nothing else.
TEST(Yaml, SurvivesEveryTruncation) {
  const std::string text =
      "model: \"../m\"\nsampling:\n  - a: {b: [1, 'x']}\n  - \"\\u00e9\"\nprompt: {system: >\n  "
      "x}\n";
  for (size_t i = 0; i <= text.size(); ++i) error_of([&] { parse_yaml(text.substr(0, i), "f"); });
}

TEST(Yaml, TakesExactlyTheDepthItPromises) {
  const auto nested = [](size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_EQ(error_of([&] { parse_yaml(nested(kMaxConfigDepth), "f"); }), "no error");
  EXPECT_NE(error_of([&] { parse_yaml(nested(kMaxConfigDepth + 1), "f"); }), "no error");
}

}  // namespace
}  // namespace ropewalk::test
