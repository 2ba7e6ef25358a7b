// Configurations that must be refused with exit code 2 and a message that names file and place.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Bad {
  std::string name;
  std::string text;
  std::string message;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

std::string model_and(const std::string& rest) { return "model: m\n" + rest; }

std::string repeat(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

class BadConfig : public ::testing::TestWithParam<Bad> {};

TEST_P(BadConfig, IsRefusedWithItsPlace) {
  const TemporaryFolder folder;
  const std::string file = folder.write("bad.yaml", GetParam().text);
  const Outcome outcome = run_program({"config", file, "--dump"}, "");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(StartsWith("error: " + file), HasSubstr(GetParam().message)));
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1);
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadConfig,
    ::testing::Values(
        Bad{"empty", "", "empty"}, Bad{"only_a_comment", "# nothing\n", "is empty"},
        Bad{"too_large", "model: " + std::string(size_t{1} << 20, 'a') + "\n", "1048576"},
        Bad{"not_utf8", "model: a\xff\n", "UTF-8"},
        Bad{"utf16", std::string("\xff\xfem\0o\0", 6), "UTF-8"},
        Bad{"nul", std::string("model: a\0b\n", 11), "byte 8"},
        Bad{"tab", "model: m\ncontext:\n\tlength: 1\n", ":3:"},
        Bad{"unclosed_flow", "model: [a, b\n", ":2:"}, Bad{"stray_bracket", "[:\n", ":"},
        Bad{"deep", "model: " + repeat("[", 100000) + "\n", "nested"},
        Bad{"alias_bomb", "a: &a [x,x]\nb: &b [*a,*a]\nmodel: *b\n", "anchor or alias"},
        Bad{"self_reference", "model: &a [*a]\n", "anchor or alias"},
        Bad{"duplicate_key", "model: a\nmodel: b\n",
            ":2:1: found the key model a second time, first on line 1"},
        Bad{"unknown_key", model_and("temprature: 1\n"), "unknown key temprature"},
        Bad{"unknown_inner_key", model_and("context: {lenght: 1}\n"), "Did you mean length"},
        Bad{"two_documents", "model: a\n---\nmodel: b\n", "document"},
        Bad{"no_model", "backend: cpu\n", "model is missing"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Values, BadConfig,
    ::testing::Values(
        Bad{"word_for_number", model_and("generation: {max_new_tokens: many}\n"),
            ":2:30: generation.max_new_tokens"},
        Bad{"negative", model_and("generation: {max_new_tokens: -1}\n"), "from 1 to 16777216"},
        Bad{"zero_context", model_and("context: {length: 0}\n"), "from 1 to 16777216"},
        Bad{"two_to_the_63", model_and("context: {length: 9223372036854775808}\n"), "16777216"},
        Bad{"huge", model_and("context: {length: 1e400}\n"), "integer"},
        Bad{"exponent_for_integer", model_and("context: {length: 1e3}\n"), "integer"},
        Bad{"octal", model_and("context: {length: 0o17}\n"), "integer"},
        Bad{"boolean_for_integer", model_and("context: {length: no}\n"), "integer"},
        Bad{"infinity", model_and("generation: {seed: .inf}\n"), "integer"},
        Bad{"nothing", model_and("context: {length: ~}\n"), "integer"},
        Bad{"quoted_number", model_and("context: {length: \"4096\"}\n"), "integer"},
        Bad{"boolean_for_text", model_and("prompt: {system: no}\n"), "text"},
        Bad{"negative_seed", model_and("generation: {seed: -1}\n"), "integer"},
        Bad{"seed_too_large", model_and("generation: {seed: 18446744073709551616}\n"), "integer"},
        Bad{"unknown_choice", model_and("context: {kv_cache: f8}\n"), "f16, int8, f32"},
        Bad{"scalar_for_map", model_and("context: 4096\n"), "a map"},
        Bad{"list_for_path", "model: [a]\n", "a path"},
        Bad{"empty_stop", model_and("generation: {stop: [\"\"]}\n"), "1 to 1024 bytes"},
        Bad{"home", "model: ~/m\n", "only a shell replaces them"},
        Bad{"variable", "model: ${HOME}/m\n", "only a shell replaces them"},
        Bad{"extends_itself", "extends: bad.yaml\nmodel: m\n", "extends"}),
    [](const auto& test) { return test.param.name; });

TEST(BadConfigFile, ThatIsMissing) {
  const Outcome outcome = run_program({"config", "/nowhere/x.yaml", "--dump"}, "");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, StartsWith("error: /nowhere/x.yaml"));
}

// A folder is a model's, and is missed where the model is read.
TEST(BadConfigFile, ThatIsAFolderWithoutAModel) {
  const TemporaryFolder folder;
  const Outcome outcome = run_program({"inspect", folder.path().string()}, "");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("config.json: does not exist"));
}

TEST(BadConfigFile, ThatIsNoRegularFile) {
  const TemporaryFolder folder;
  const std::string fifo = (folder.path() / "fifo").string();
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& file : {fifo, std::string("/dev/zero")}) {
    const Outcome outcome = run_program({"config", file, "--dump"}, "");
    EXPECT_EQ(outcome.code, 2) << file;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("error: " + file), HasSubstr("regular file")));
  }
}

TEST(BadConfigFile, ThatAnyoneMayWrite) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.yaml", "model: m\n");
  ASSERT_EQ(chmod(file.c_str(), 0666), 0);
  const Outcome warned = run_program({"config", file, "--dump"}, "");
  EXPECT_EQ(warned.code, 0);
  EXPECT_THAT(warned.err, AllOf(StartsWith("warning: "), HasSubstr(file)));
  const Outcome strict = run_program({"config", file, "--dump", "--strict"}, "");
  EXPECT_EQ(strict.code, 2);
  EXPECT_THAT(strict.err, StartsWith("error: " + file));
  const Outcome quiet = run_program({"config", file, "--dump", "--quiet"}, "");
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.err, "");
}

TEST(BadPluginFolder, ThatAnyoneMayWrite) {
  const TemporaryFolder folder;
  const std::string plugins = (folder.path() / "plugins").string();
  std::filesystem::create_directory(plugins);
  ASSERT_EQ(chmod(plugins.c_str(), 0777), 0);
  const std::string file = folder.write("a.yaml", "model: m\nplugins: {paths: [plugins]}\n");
  const Outcome warned = run_program({"plugins", file}, "");
  EXPECT_EQ(warned.code, 0);
  EXPECT_THAT(warned.err, AllOf(StartsWith("warning: "), HasSubstr(plugins)));
  const Outcome strict = run_program({"plugins", file, "--strict"}, "");
  EXPECT_EQ(strict.code, 2);
  EXPECT_THAT(strict.err, StartsWith("error: " + plugins));
}

TEST(BadOverride, NamesItsKey) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.yaml", "model: m\n");
  for (const char* text : {"context.length=0", "contxt.length=5", "context.length", "=5"}) {
    const Outcome outcome = run_program({"config", file, "--dump", "--set", text}, "");
    EXPECT_EQ(outcome.code, 2) << text;
    EXPECT_THAT(outcome.err, StartsWith("error: --set ")) << text;
  }
}

// The place names the key, so what is wrong with it does not.
TEST(BadOverride, SaysItsKeyOnce) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.yaml", "model: m\n");
  const auto refusal = [&](const char* text) {
    return run_program({"config", file, "--dump", "--set", text}, "").err;
  };
  EXPECT_EQ(refusal("context.length=0"),
            "error: --set context.length: found 0, expected an integer from 1 to 16777216.\n");
  EXPECT_EQ(refusal("prompt.bos=yes"),
            "error: --set prompt.bos: found yes, expected one of auto, always, never.\n");
  EXPECT_EQ(refusal("prompt=vicuna"),
            "error: --set prompt: found vicuna, expected a map of format, system, bos, truncate. "
            "Write prompt: {format: vicuna}.\n");
  EXPECT_THAT(refusal("prompt.system=\"a"),
              HasSubstr("found a quote that is never closed, expected its end"));
}

TEST(BadPluginName, IsRefusedWithItsPlace) {
  const TemporaryFolder folder;
  const std::string base = write_small_config(folder.path(), {});
  const auto refusal = [&](const std::string& text) {
    const std::string file = folder.write("a.yaml", "extends: " + base + "\n" + text);
    const Outcome outcome = run_program({"run", file, "--prompt", "x"}, "");
    EXPECT_EQ(outcome.code, 4) << text;
    return outcome.err;
  };
  const std::string start = "error: " + (folder.path() / "a.yaml").string();
  EXPECT_THAT(refusal("sampling:\n  - top-p: 0.9\n  - top-o: 1\n"),
              StartsWith(start + ":4:5: found no sampler called top-o"));
  EXPECT_THAT(refusal("prompt:\n  format: vicuna\n"),
              StartsWith(start + ":3:11: found no prompt format called vicuna"));
  EXPECT_THAT(refusal("rope:\n  policy: pntk\n"),
              HasSubstr(start + ":3:11: found no rope scaling called pntk"));
  EXPECT_THAT(refusal("backend: tpu\n"), StartsWith(start + ":2:10: found no backend called tpu"));
  EXPECT_THAT(
      refusal("backend: rocm\n"),
      HasSubstr(":2:10: found no backend called rocm. AMD's GPUs run with --backend vulkan."));
  EXPECT_THAT(refusal("backend: CPU\n"), HasSubstr("Did you mean cpu."));
  EXPECT_THAT(refusal("backend: cdua\n"),
              HasSubstr(":2:10: found no backend called cdua. Did you mean cuda."));
}

TEST(Dump, ReadsBackToItself) {
  const TemporaryFolder folder;
  folder.write("base.yaml", "model: m\nprompt: {format: vicuna-v1.1, system: \"a\\nb: '\\\"#\"}\n");
  const std::string file =
      folder.write("a.yaml",
                   "extends: base.yaml\nsampling:\n  - temperature: 0.7\n  - top-p: {p: 0.9}\n"
                   "rope: {policy: linear, factor: 2.0}\ngeneration: {stop: [\"USER:\"]}\n");
  const Outcome first = run_program({"config", file, "--dump"}, "");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr((folder.path() / "m").string()));
  EXPECT_THAT(first.out, HasSubstr("base.yaml:2"));
  EXPECT_THAT(first.out, HasSubstr("# default"));
  const std::string again = folder.write("b.yaml", first.out);
  const Outcome second = run_program({"config", again, "--dump"}, "");
  ASSERT_EQ(second.code, 0) << second.err;
  const auto values = [](const std::string& text) {  // without the comments that name the origin
    std::string out;
    for (size_t start = 0; start < text.size();) {
      const size_t end = text.find('\n', start);
      const std::string line = text.substr(start, end - start);
      out += line.substr(0, line.rfind("  # ")) + "\n";
      start = end + 1;
    }
    return out;
  };
  EXPECT_EQ(values(first.out), values(second.out));
}

}  // namespace
}  // namespace ropewalk::test
