#include "core/modules/options.h"

#include <limits>

#include "core/config/yaml.h"
#include "core/modules/library.h"
#include "tests/modules/modules_test.h"

namespace ropewalk::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ModuleDescription plugin() {
  const auto option = [](const char* name, abi::OptionType type, std::optional<std::string> value,
                         double minimum, double maximum) {
    return OptionDescription{name, type, std::move(value), "Help about it", minimum, maximum};
  };
  return {.kind = abi::ModuleKind::sampler,
          .name = "dry",
          .version = "1",
          .help = "help",
          .source = "",
          .options = {option("penalty", abi::OptionType::number, "1.15", 0, 10),
                      option("range", abi::OptionType::integer, {}, 0, 1073741824),
                      option("whole", abi::OptionType::boolean, "false", -kInfinity, kInfinity),
                      option("label", abi::OptionType::text, {}, -kInfinity, kInfinity),
                      option("weights", abi::OptionType::numbers, {}, 0, kInfinity),
                      option("breakers", abi::OptionType::texts,
                             "a\x1f"
                             "b",
                             -kInfinity, kInfinity)}};
}

// The options as "name=value;...", or the error.
std::string resolve(const std::string& yaml) {
  const ConfigValue value = parse_yaml(yaml, "t.yaml");
  PluginChoice choice{.name = "dry", .key = "sampling[0]", .where = value.where};
  if (value.kind == ValueKind::map) {
    choice.options = value.entries;
  } else {
    choice.main = value;
  }
  std::string out;
  const std::string error = error_of([&] {
    const ResolvedOptions resolved = resolve_options(plugin(), choice);
    for (const abi::OptionValue& option : resolved.view()) {
      out += std::string(option.name) + "=";
      for (const char c : option.value) out += c == abi::kItemSeparator ? '|' : c;
      out += ";";
    }
  });
  return error == "no error" ? out : error;
}

TEST(Options, AreFilledInWithDefaults) {
  EXPECT_EQ(resolve("{}"), "penalty=1.15;whole=false;breakers=a|b;");
  EXPECT_EQ(resolve("{range: 12, whole: true}"), "penalty=1.15;range=12;whole=true;breakers=a|b;");
}

TEST(Options, ALoneValueIsTheFirstOption) {
  EXPECT_EQ(resolve("1.3"), "penalty=1.3;whole=false;breakers=a|b;");
}

TEST(Options, ListsAreJoinedAndOneIsAList) {
  EXPECT_EQ(resolve("{weights: [1, 2.5], breakers: [\"\\n\", \":\"]}"),
            "penalty=1.15;whole=false;weights=1|2.5;breakers=\n|:;");
  EXPECT_EQ(resolve("{weights: 3, breakers: []}"), "penalty=1.15;whole=false;weights=3;breakers=;");
}

TEST(Options, BadOnesAreNamedWithTheirPlace) {
  EXPECT_EQ(resolve("{penalti: 1}"),
            "2 t.yaml:1:2: sampling[0]: dry: found the unknown option penalti. Did you mean "
            "penalty.");
  EXPECT_EQ(resolve("{penalty: 11}"),
            "2 t.yaml:1:11: sampling[0]: dry: penalty: found 11, expected a number from 0 to 10. "
            "Help about it.");
  EXPECT_EQ(resolve("{range: 1e3}"),
            "2 t.yaml:1:9: sampling[0]: dry: range: found 1e3, expected an integer from 0 to "
            "1073741824. Help about it.");
  EXPECT_EQ(resolve("{whole: no}"),
            "2 t.yaml:1:9: sampling[0]: dry: whole: found no, expected true or false. Help about "
            "it.");
  EXPECT_EQ(resolve("{weights: [1, -1]}"),
            "2 t.yaml:1:11: sampling[0]: dry: weights: found a list, expected a list of numbers of "
            "at least 0. Help about it.");
}

TEST(ResolveOptions, NamesNothingTwice) {
  ModuleDescription temperature = plugin();
  temperature.name = "temperature";
  temperature.options[0].name = "temperature";
  temperature.options[0].help = "what logits are divided by";
  PluginChoice choice{.name = "temperature", .key = "sampling[0]"};
  choice.main = make_scalar("-1", {"t.yaml", 1, 2});
  EXPECT_EQ(
      error_of([&] { resolve_options(temperature, choice); }),
      "2 t.yaml:1:2: sampling[0]: temperature: found -1, expected a number from 0 to 10. What "
      "logits are divided by.");
  choice.main = make_scalar("-1", {"--set sampling.temperature"});
  EXPECT_EQ(error_of([&] { resolve_options(temperature, choice); }),
            "2 --set sampling.temperature: found -1, expected a number from 0 to 10. What logits "
            "are divided by.");
  choice.main.reset();
  choice.options = parse_yaml("{range: x}", "t.yaml").entries;
  choice.options[0].value.where = {"--set sampling.temperature"};
  EXPECT_THAT(error_of([&] { resolve_options(temperature, choice); }),
              testing::StartsWith("2 --set sampling.temperature: range: found x"));
}

TEST(Options, NoCoercion) {
  for (const char* bad :
       {"{penalty: .inf}", "{penalty: .nan}", "{penalty: ~}", "{penalty: \"1\"}", "{penalty: [1]}",
        "{penalty: {a: 1}}", "{penalty: 1e400}", "{range: 1.0}", "{range: 0x10}", "{range: 010}",
        "{range: -1}", "{whole: 1}", "{whole: yes}", "{label: 42}", "{label: yes}", "{label: [a]}",
        "{breakers: [~]}", "{breakers: [\"a\\x1fb\"]}", "{weights: [[1]]}"})
    EXPECT_THAT(resolve(bad), testing::StartsWith("2 t.yaml:1:")) << bad;
}

TEST(Options, MayNotBeGivenTwice) {
  PluginChoice choice{.name = "dry", .key = "rope"};
  choice.main = make_scalar("2", {});
  choice.options = parse_yaml("{penalty: 1}", "t.yaml").entries;
  EXPECT_EQ(error_of([&] { resolve_options(plugin(), choice); }),
            "2 t.yaml:1:2: rope: dry: found the option penalty a second time. Remove one of them.");
  choice.main.reset();
  choice.options.push_back(choice.options[0]);
  EXPECT_THAT(error_of([&] { resolve_options(plugin(), choice); }),
              testing::HasSubstr("a second time"));
}

TEST(Options, OfAPluginWithoutAny) {
  ModuleDescription bare = plugin();
  bare.options.clear();
  PluginChoice choice{.name = "dry", .key = "rope"};
  choice.main = make_scalar("2", {"f", 1, 2});
  EXPECT_EQ(error_of([&] { resolve_options(bare, choice); }),
            "2 f:1:2: rope: dry: found 2, expected nothing after the name. It has no options.");
}

}  // namespace
}  // namespace ropewalk::test
