// What a good configuration means.
#include "tests/config/config_test.h"

namespace ropewalk::test {
namespace {

TEST(Config, DefaultsAreThoseOfTheManual) {
  const Config config = parse("model: m\n");
  EXPECT_EQ(config.model, "/etc/m");
  EXPECT_EQ(config.backend.plugin.name, "auto");
  EXPECT_FALSE(config.backend.device);
  EXPECT_FALSE(config.context.length);
  EXPECT_EQ(config.context.kv_cache, KvCacheType::f16);
  EXPECT_EQ(config.context.page_tokens, 64u);
  EXPECT_FALSE(config.rope);
  EXPECT_FALSE(config.prompt.format);
  EXPECT_FALSE(config.prompt.system);
  EXPECT_EQ(config.prompt.bos, BosRule::automatic);
  EXPECT_EQ(config.prompt.truncate, Truncate::drop_oldest);
  EXPECT_TRUE(config.sampling.empty());
  EXPECT_EQ(config.generation.max_new_tokens, 512u);
  EXPECT_EQ(config.generation.seed, 0u);
  EXPECT_TRUE(config.generation.stop.empty());
  EXPECT_FALSE(config.tokenizer.legacy);
  EXPECT_TRUE(config.plugin_paths.empty());
}

// The example of docs/cli.md, key by key.
TEST(Config, EveryKeyIsRead) {
  const Config config = parse(R"(
model: ../models/airophin-mini
backend: {name: vulkan, device: 3, workgroup: 64}
context:
  length: 8192
  kv_cache: int8
  page_tokens: 256
rope:
  policy: linear
  factor: 2.0
prompt:
  format: vicuna-v1.1
  system: "A chat between ..."
  truncate: refuse
  bos: never
sampling:
  - repetition-penalty: {penalty: 1.15, range: 1024}
  - temperature: 0.7
  - greedy
generation: {max_new_tokens: 77, seed: 18446744073709551615, stop: ["USER:", "\n"]}
tokenizer: {legacy: false}
plugins: {paths: [./my-plugins, /opt/p.so]}
)");
  EXPECT_EQ(config.model, "/models/airophin-mini");
  EXPECT_EQ(config.backend.plugin.name, "vulkan");
  EXPECT_EQ(config.backend.device, 3u);
  ASSERT_EQ(config.backend.plugin.options.size(), 1u);
  EXPECT_EQ(config.backend.plugin.options[0].key, "workgroup");
  EXPECT_EQ(config.context.length, 8192u);
  EXPECT_EQ(config.context.kv_cache, KvCacheType::int8);
  EXPECT_EQ(config.context.page_tokens, 256u);
  ASSERT_TRUE(config.rope);
  EXPECT_EQ(config.rope->name, "linear");
  EXPECT_EQ(config.rope->where.text(), "/etc/c.yaml:9:11");
  ASSERT_EQ(config.rope->options.size(), 1u);
  EXPECT_EQ(config.rope->options[0].value.text, "2.0");
  EXPECT_EQ(config.prompt.format->name, "vicuna-v1.1");
  EXPECT_EQ(config.prompt.system, "A chat between ...");
  EXPECT_EQ(config.prompt.truncate, Truncate::refuse);
  EXPECT_EQ(config.prompt.bos, BosRule::never);
  ASSERT_EQ(config.sampling.size(), 3u);
  EXPECT_EQ(config.sampling[0].name, "repetition-penalty");
  EXPECT_EQ(config.sampling[0].key, "sampling[0]");
  EXPECT_FALSE(config.sampling[0].main);
  EXPECT_EQ(config.sampling[0].options[1].value.text, "1024");
  EXPECT_EQ(config.sampling[1].main->text, "0.7");
  EXPECT_EQ(config.sampling[2].name, "greedy");
  EXPECT_FALSE(config.sampling[2].main);
  EXPECT_EQ(config.generation.max_new_tokens, 77u);
  EXPECT_EQ(config.generation.seed, 18446744073709551615u);
  EXPECT_EQ(config.generation.stop, (std::vector<std::string>{"USER:", "\n"}));
  EXPECT_EQ(config.tokenizer.legacy, false);
  EXPECT_EQ(config.plugin_paths, (std::vector<fs::path>{"/etc/my-plugins", "/opt/p.so"}));
}

TEST(Config, AdaptersAreFoldersByNames) {
  const Config config = parse(
      "model: m\nadapters: {airo: ../airo, story: {path: /s, scale: -0.5, base: ../b}}\n"
      "adapter: story\n"
      "adapter_slots: 3\n");
  ASSERT_EQ(config.adapters.size(), 2u);
  EXPECT_EQ(config.adapters[0].name, "airo");
  EXPECT_EQ(config.adapters[0].path, "/airo");
  EXPECT_EQ(config.adapters[0].scale, 1);
  EXPECT_EQ(config.adapters[1].path, "/s");
  EXPECT_EQ(config.adapters[1].scale, -0.5);
  EXPECT_EQ(config.adapters[0].base, "");
  EXPECT_EQ(config.adapters[1].base, "/b");
  EXPECT_EQ(config.adapter, "story");
  EXPECT_EQ(config.adapter_slots, 3u);
  const Config again = parse(dump_config(config));
  EXPECT_EQ(again.adapters[0].path, "/airo");
  EXPECT_EQ(again.adapters[1].scale, -0.5);
  EXPECT_EQ(again.adapters[0].base, "");
  EXPECT_EQ(again.adapters[1].base, "/b");
  EXPECT_EQ(parse("model: m\n").adapter, "none");
}

TEST(Config, ExllamasNamesAreTaken) {
  const Config linear = parse("model: m\nrope: {policy: linear, compress_pos_emb: 4}\n");
  EXPECT_EQ(linear.rope->options[0].key, "factor");
  const Config ntk = parse("model: m\nrope: {policy: ntk, alpha_value: 2.5}\n");
  EXPECT_EQ(ntk.rope->options[0].key, "alpha");
  const Config mine = parse("model: m\nrope: {policy: mine, alpha_value: 2.5}\n");
  EXPECT_EQ(mine.rope->options[0].key, "alpha_value");
}

TEST(Config, RopeFromTheModelIsNoChoice) {
  EXPECT_FALSE(parse("model: m\nrope: from-model\n").rope);
  EXPECT_EQ(parse("model: m\nrope: none\n").rope->name, "none");
}

TEST(Config, FormatsMayHaveOptions) {
  const Config config = parse("model: m\nprompt: {format: {airoboros-1.4: {suffix: ': '}}}\n");
  EXPECT_EQ(config.prompt.format->name, "airoboros-1.4");
  EXPECT_EQ(config.prompt.format->options[0].value.text, ": ");
}

TEST(Config, WindowsLineEndsAndAByteOrderMarkAreText) {
  EXPECT_EQ(parse("\xef\xbb\xbfmodel: m\r\ncontext: {length: 5}\r\n").context.length, 5u);
}

TEST(Config, RelativePathsStartAtTheFile) {
  const TemporaryFolder scratch;
  const fs::path file = scratch.write("a/b/c.yaml", "model: ../m\nplugins: {paths: [p]}\n");
  const Config config = load_config({.file = file});
  EXPECT_EQ(config.model, scratch.path() / "a/m");
  EXPECT_EQ(config.plugin_paths[0], scratch.path() / "a/b/p");
  EXPECT_EQ(load_config({.file = file, .overrides = {"model=x"}}).model, scratch.path() / "a/b/x");
}

TEST(Config, PresetsAreTheSamplersOfOtherFiles) {
  const TemporaryFolder folder;
  folder.write("base.yaml", "sampling: [{temperature: 0.4}]\n");
  const std::string mild = folder.write("mild.yaml", "extends: base.yaml\n");
  const std::string none = folder.write("none.yaml", "prompt: {format: raw}\n");
  const auto load = [&](const std::string& list) {
    return load_config({folder.write("c.yaml", "model: m\nserve: {presets: " + list + "}\n")});
  };
  const Config config = load("[mild.yaml]");
  ASSERT_EQ(config.serve.presets.size(), 1u);
  EXPECT_EQ(config.serve.presets[0].name, "mild");
  EXPECT_EQ(config.serve.presets[0].file, mild);
  EXPECT_EQ(config.serve.presets[0].sampling[0].name, "temperature");
  EXPECT_THAT(error_of([&] { load("[none.yaml]"); }),
              testing::HasSubstr(none + " has no sampling, expected a list of samplers"));
  EXPECT_THAT(error_of([&] { load("[mild.yaml, mild.yaml]"); }),
              testing::HasSubstr("has the name of another preset"));
}

}  // namespace
}  // namespace ropewalk::test
