#include <sstream>

#include "core/config/keys.h"
#include "tests/config/config_test.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

std::string without_comments(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);)
    out += line.substr(0, line.rfind("  # ")) + "\n";
  return out;
}

TEST(Dump, NamesTheOriginOfEveryValue) {
  const TemporaryFolder scratch;
  scratch.write("base.yaml", "model: m\nbackend: cuda\n");
  const fs::path file = scratch.write("c.yaml",
                                      "extends: base.yaml\nsampling:\n  - top-k\n  - top-p: 0.9\n"
                                      "generation: {stop: [\"a b\"]}\n");
  const std::string folder = scratch.path().string();
  EXPECT_EQ(
      dump_config(load_config({.file = file, .overrides = {"backend.device=1", "rope=none"}})),
      "model: \"" + folder + "/m\"  # " + folder + "/base.yaml:1\n" +
          "backend:\n"
          "  name: cuda  # " +
          folder +
          "/base.yaml:2\n"
          "  device: 1  # --set backend.device\n"
          "context:\n"
          "  # length: <what the model was trained for>  # default\n"
          "  kv_cache: f16  # default\n"
          "  page_tokens: 64  # default\n"
          "rope: none  # --set rope\n"
          "adapters: {}  # default\n"
          "adapter: none  # default\n"
          "# adapter_slots: <all of them, at most 8>  # default\n"
          "prompt:\n"
          "  # format: <by the model's chat template, else raw>  # default\n"
          "  # system: <the format's own>  # default\n"
          "  bos: auto  # default\n"
          "  truncate: drop-oldest  # default\n"
          "sampling:\n"
          "  - top-k  # " +
          folder +
          "/c.yaml:3\n"
          "  - top-p: 0.9  # " +
          folder +
          "/c.yaml:4\n"
          "generation:\n"
          "  max_new_tokens: 512  # default\n"
          "  seed: 0  # default\n"
          "  stop: [\"a b\"]  # " +
          folder +
          "/c.yaml:5\n"
          "tokenizer:\n"
          "  source: auto  # default\n"
          "  # legacy: <what tokenizer_config.json says>  # default\n"
          "serve:\n"
          "  listen: \"127.0.0.1:8000\"  # default\n"
          "  # keys:\n"
          "    # file: <nothing>  # default\n"
          "  anonymous: false  # default\n"
          "  hosts: []  # default\n"
          "  cors:\n"
          "    origins: []  # default\n"
          "  # page: <true on the loopback>  # default\n"
          "  # model_name: <the model folder's name>  # default\n"
          "  aliases: []  # default\n"
          "  any_model: false  # default\n"
          "  bare_paths: false  # default\n"
          "  strict: false  # default\n"
          "  tolerate: []  # default\n"
          "  sampling:\n"
          "    lock: []  # default\n"
          "    bounds: []  # default\n"
          "  presets: []  # default\n"
          "  deterministic: false  # default\n"
          "  chat: join  # default\n"
          "  truncate: refuse  # default\n"
          "  # max_sequences: <32 on a GPU, else 8>  # default\n"
          "  # cache_tokens: <a full context for each of them, or what the free memory holds>  # "
          "default\n"
          "  prefill_share: 50  # default\n"
          "  prefix_cache: per-key  # default\n"
          "  # per_key:\n"
          "    # running: <no limit>  # default\n"
          "    # queued: <no limit>  # default\n"
          "    # tokens_per_minute: <no limit>  # default\n"
          "  queue:\n"
          "    requests: 64  # default\n"
          "    # prompt_tokens: <eight times the context>  # default\n"
          "    seconds: 60  # default\n"
          "  max_request_seconds: 3600  # default\n"
          "  keep_alive_seconds: 10  # default\n"
          "  # log:\n"
          "    # prompts: <nothing>  # default\n"
          "  drain:\n"
          "    delay: 5  # default\n"
          "    seconds: 60  # default\n"
          "plugins:\n"
          "  paths: []  # default\n");
}

// A dump reads back to the same configuration, from any folder.
TEST(Dump, IsReadBackToTheSame) {
  const std::string yaml = R"(
model: ../models/a "b" \c
backend: {name: vulkan, device: 0, odd option: {x: [1, {y: ~}], "": "-"}}
context: {length: 8192, kv_cache: int8}
rope: {policy: longrope, long_factor: [1, 2.5], note: "no"}
prompt:
  format: {airoboros: {suffix: ": "}}
  system: |
    Two lines: and "quotes", #no comment
      tab	bell 🦙 größe
  truncate: refuse
sampling: [{top-p: 0.9}, greedy, {dry: {breakers: ["\n", ":", "\"", "*", "\e"], base: 1.75}}]
generation: {seed: 18446744073709551615, stop: ["yes", "7", "a, b", "[", "{x}", " # "]}
tokenizer: {legacy: true}
serve:
  listen: "[::1]:0"
  keys: {file: a b}
  hosts: [a.b]
  cors: {origins: ["https://a.b:8443"]}
  prefill_share: 20
  sampling: {lock: [temperature]}
  truncate: drop-oldest
  log: {prompts: said}
  drain: {delay: 0}
plugins: {paths: [p q, /r]}
)";
  const Config config = parse(yaml);
  const std::string dump = dump_config(config);
  const Config again = parse_config(dump, {.file = "/somewhere/else.yaml"});
  EXPECT_EQ(without_comments(dump_config(again)), without_comments(dump));
  EXPECT_EQ(again.model, config.model);
  EXPECT_EQ(again.plugin_paths, config.plugin_paths);
  EXPECT_EQ(again.prompt.system, config.prompt.system);
  EXPECT_EQ(again.generation.stop, config.generation.stop);
  EXPECT_EQ(again.generation.seed, config.generation.seed);
  EXPECT_EQ(again.context.length, config.context.length);
  EXPECT_EQ(again.rope->options.size(), 2u);
  EXPECT_EQ(again.serve.listen, "[::1]:0");
  EXPECT_EQ(again.serve.keys_file, config.serve.keys_file);
  EXPECT_EQ(again.serve.hosts, config.serve.hosts);
  EXPECT_EQ(again.serve.cors_origins, std::vector<std::string>{"https://a.b:8443"});
  EXPECT_EQ(again.serve.prefill_share, 20u);
  EXPECT_EQ(again.serve.locked_sampling, config.serve.locked_sampling);
  EXPECT_EQ(again.serve.truncate, Truncate::drop_oldest);
  EXPECT_EQ(again.serve.prompt_log, config.serve.prompt_log);
  EXPECT_EQ(again.serve.prompt_log.filename(), "said");
  EXPECT_EQ(again.serve.drain_delay, 0u);
  EXPECT_EQ(again.sampling[2].options[0].value.items[4].text, "\x1b");
}

// The table's defaults and those of the structs are the same.
TEST(Dump, OfDefaultsIsTheDefaults) {
  const Config bare = parse("model: m\n");
  const Config written = parse(dump_config(bare));
  EXPECT_EQ(written.backend.plugin.name, bare.backend.plugin.name);
  EXPECT_EQ(written.context.kv_cache, bare.context.kv_cache);
  EXPECT_EQ(written.rope.has_value(), bare.rope.has_value());
  EXPECT_EQ(written.prompt.format.has_value(), bare.prompt.format.has_value());
  EXPECT_EQ(written.prompt.truncate, bare.prompt.truncate);
  EXPECT_EQ(written.sampling.size(), bare.sampling.size());
  EXPECT_EQ(written.generation.max_new_tokens, bare.generation.max_new_tokens);
  EXPECT_EQ(written.generation.seed, bare.generation.seed);
  EXPECT_EQ(written.generation.stop, bare.generation.stop);
  EXPECT_EQ(written.plugin_paths, bare.plugin_paths);
}

TEST(Dump, OfPathsWithStrangeCharacters) {
  const Config config = parse_config("model: m\n", {.file = "/tmp/a\n# b: [\x1b/c.yaml"});
  const std::string dump = dump_config(config);
  EXPECT_THAT(dump, HasSubstr("model: \"/tmp/a\\x0a# b: [\\x1b/m\"  # /tmp/a\\x0a# b: [\\x1b/"));
  EXPECT_EQ(parse(dump).model, config.model);
}

TEST(Keys, AreDescribedOnceEach) {
  std::string text = describe_keys();
  for (const KeyInfo& key : config_keys()) {
    EXPECT_THAT(text, HasSubstr("# " + std::string(key.help) + "\n")) << key.path;
    EXPECT_LE(key.help.size(), 94u) << key.path;
  }
  // The skeleton is a configuration except for the model.
  const std::string missing = "# model: <must be given>";
  text.replace(text.find(missing), missing.size(), "model: m");
  EXPECT_EQ(parse(text).model, "/etc/m");
}

}  // namespace
}  // namespace ropewalk::test
