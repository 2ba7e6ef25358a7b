// Several files, and the command line, as one configuration.
#include "core/config/merge.h"

#include "tests/config/config_test.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

TEST(Extends, TheNearerFileGoesFirst) {
  const TemporaryFolder scratch;
  scratch.write("base/base.yaml",
                "model: m\ncontext: {length: 100, kv_cache: f32}\nsampling: [a, b]\n");
  const fs::path file =
      scratch.write("c.yaml", "extends: base/base.yaml\ncontext: {length: 200}\nsampling: [c]\n");
  const Config config = load_config({.file = file});
  EXPECT_EQ(config.model, scratch.path() / "base/m") << "relative to the file that says it";
  EXPECT_EQ(config.context.length, 200u);
  EXPECT_EQ(config.context.kv_cache, KvCacheType::f32);
  ASSERT_EQ(config.sampling.size(), 1u) << "lists are replaced";
  EXPECT_EQ(config.sampling[0].name, "c");
}

TEST(Extends, ABlockThatNamesItsPluginReplacesTheOptions) {
  const TemporaryFolder scratch;
  scratch.write("base.yaml",
                "model: m\nrope: {policy: ntk, alpha: 2}\nbackend: {name: cuda, device: 1}\n"
                "prompt: {format: {a: {x: 1}}}\n");
  const auto load = [&](const std::string& more) {
    return load_config({.file = scratch.write("c.yaml", "extends: base.yaml\n" + more)});
  };
  const Config other = load(
      "rope: {policy: linear, factor: 2}\nbackend: cpu\n"
      "prompt: {format: {b: {y: 1}}}\n");
  ASSERT_EQ(other.rope->options.size(), 1u);
  EXPECT_EQ(other.rope->options[0].key, "factor");
  EXPECT_FALSE(other.backend.device);
  EXPECT_EQ(other.prompt.format->name, "b");

  const Config same = load("rope: {alpha: 3}\nbackend: {device: 2}\n");
  EXPECT_EQ(same.rope->name, "ntk");
  ASSERT_EQ(same.rope->options.size(), 1u);
  EXPECT_EQ(same.rope->options[0].value.text, "3");
  EXPECT_EQ(same.backend.plugin.name, "cuda");
  EXPECT_EQ(same.backend.device, 2u);
}

TEST(Extends, AMapOfSamplersChangesTheListOfTheBase) {
  const TemporaryFolder scratch;
  scratch.write("base.yaml", "model: m\nsampling: [a, {b: {x: 1, y: 2}}, {c: 3}]\n");
  const Config config =
      load_config({.file = scratch.write("c.yaml",
                                         "extends: base.yaml\n"
                                         "sampling: {c: 4, d: 5, b: {y: 6}, a: {z: 7}}\n"),
                   .overrides = {"sampling.c=8", "sampling.b.x=9"}});
  ASSERT_EQ(config.sampling.size(), 4u);
  EXPECT_EQ(config.sampling[0].name, "a");
  EXPECT_EQ(config.sampling[0].options[0].value.text, "7");
  EXPECT_EQ(config.sampling[1].name, "b");
  EXPECT_EQ(config.sampling[1].options[0].value.text, "9");
  EXPECT_EQ(config.sampling[1].options[1].value.text, "6");
  EXPECT_EQ(config.sampling[2].name, "c");
  EXPECT_EQ(config.sampling[2].main->text, "8");
  EXPECT_EQ(config.sampling[3].name, "d");
  EXPECT_THAT(dump_config(config), HasSubstr("  - c: 8  # --set sampling.c"));
}

TEST(Extends, AMapOfSamplersWithoutABaseIsAList) {
  const TemporaryFolder scratch;
  const Config config =
      load_config({.file = scratch.write("c.yaml", "model: m\nsampling: {b: 1, a: {x: 2}}\n"),
                   .overrides = {"sampling.b=3"}});
  ASSERT_EQ(config.sampling.size(), 2u);
  EXPECT_EQ(config.sampling[0].name, "b");
  EXPECT_EQ(config.sampling[0].main->text, "3");
  EXPECT_EQ(config.sampling[1].options[0].value.text, "2");
}

TEST(Extends, CyclesAndLongChainsAreRefused) {
  const TemporaryFolder scratch;
  const fs::path a = scratch.write("a.yaml", "extends: b.yaml\nmodel: m\n");
  scratch.write("b.yaml", "extends: ./a.yaml\n");
  EXPECT_EQ(error_of([&] { load_config({.file = a}); }),
            "2 " + (scratch.path() / "b.yaml").string() + ":1:10: extends: " + a.string() +
                " extends itself. Remove one extends.");
  for (int i = 0; i < 9; ++i)
    scratch.write(std::to_string(i) + ".yaml",
                  "extends: " + std::to_string(i + 1) + ".yaml\nmodel: m\n");
  scratch.write("9.yaml", "model: m\n");
  EXPECT_THAT(error_of([&] { load_config({.file = scratch.path() / "0.yaml"}); }),
              HasSubstr("7.yaml:1:10: extends: found a chain of more than 8 files."));
  EXPECT_EQ(error_of([&] { load_config({.file = scratch.path() / "2.yaml"}); }), "no error");
}

TEST(Extends, AFaultOfTheBaseIsTheBases) {
  const TemporaryFolder scratch;
  const fs::path base = scratch.write("base.yaml", "model: m\ncontext: {length: many}\n");
  const fs::path file = scratch.write("c.yaml", "extends: base.yaml\n");
  EXPECT_THAT(error_of([&] { load_config({.file = file}); }),
              HasSubstr(base.string() + ":2:19: context.length: found many"));
  EXPECT_THAT(
      error_of([&] { load_config({.file = scratch.write("d.yaml", "extends: gone.yaml\n")}); }),
      AllOf(HasSubstr("d.yaml:1:10: extends: "), HasSubstr("gone.yaml: cannot be opened")));
}

TEST(Spellings, AreTakenWhereTheirMeaningIsCertain) {
  const Config config = parse(
      "model: m\nrope: {type: linear, factor: 2}\ngeneration: {max-new-tokens: 9}\n"
      "sampling: [temperature: 0.7, top-p: 0.9]\n",
      {"sampling.top_p=0.5", "rope.rope_type=yarn"});
  EXPECT_EQ(config.generation.max_new_tokens, 9u);
  ASSERT_TRUE(config.rope);
  EXPECT_EQ(config.rope->name, "yarn");
  ASSERT_EQ(config.sampling.size(), 2u);  // top_p changed the sampler that was there
  EXPECT_EQ(config.sampling[1].main->text, "0.5");
}

TEST(Set, OverridesInOrder) {
  const Config config = parse("model: m\nbackend: cuda\n",
                              {"context.length=1", "context.length=2", "backend.device=1",
                               "rope={policy: linear, factor: 2}", "rope.factor=4",
                               "prompt.system=\"no: yes\"", "sampling=[{top-p: 0.5}]"});
  EXPECT_EQ(config.context.length, 2u);
  EXPECT_EQ(config.backend.plugin.name, "cuda");
  EXPECT_EQ(config.backend.device, 1u);
  EXPECT_EQ(config.rope->options[0].value.text, "4");
  EXPECT_EQ(config.prompt.system, "no: yes");
  EXPECT_EQ(config.sampling[0].main->text, "0.5");
  EXPECT_EQ(parse("model: m\nbackend: {name: cuda, device: 1}\n", {"backend=cpu"}).backend.device,
            std::nullopt);
}

TEST(Set, FaultsNameTheOption) {
  const auto set = [](const std::string& override) {
    return error_of([&] { parse("model: m\n", {override}); });
  };
  EXPECT_EQ(set("context.length"),
            "2 --set context.length: expected key.path=value. For example --set "
            "context.length=4096.");
  EXPECT_EQ(set("=1"),
            "2 --set =1: expected key.path=value. For example --set context.length=4096.");
  EXPECT_EQ(set("context.lenght=1"),
            "2 --set context.lenght: found the unknown key context.lenght. Did you mean length.");
  EXPECT_EQ(set("context.length=many"),
            "2 --set context.length: found many, expected an integer from 1 to "
            "16777216.");
  EXPECT_EQ(set("context.length="),
            "2 --set context.length: found nothing, expected an integer from 1 to "
            "16777216.");
  EXPECT_THAT(set("context.length=[1"), HasSubstr("--set context.length:1:1: is not YAML"));
  EXPECT_THAT(set("context.length=&a 1"), HasSubstr("found an anchor or alias"));
  EXPECT_EQ(set("extends=x"),
            "2 --set extends: extends stands in files only. Give the other file instead.");
  EXPECT_THAT(set("sampling=1"), HasSubstr("sampling: found 1, expected a list"));
  std::string deep = "a";
  for (int i = 0; i < 100000; ++i) deep += ".a";
  EXPECT_THAT(set(deep + "=1"), HasSubstr("is nested too deeply."));
}

}  // namespace
}  // namespace ropewalk::test
