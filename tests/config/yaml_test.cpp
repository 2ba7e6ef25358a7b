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
