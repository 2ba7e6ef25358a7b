// Every bad configuration is refused in one line: where, what, what was expected.
#include <sys/stat.h>

#include "tests/config/config_test.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Bad {
  const char* yaml;
  const char* message;  // after "/etc/c.yaml:"
};

class BadConfig : public testing::TestWithParam<Bad> {};

TEST_P(BadConfig, IsRefused) {
  EXPECT_EQ(error_of([] { parse(GetParam().yaml); }),
            std::string("2 /etc/c.yaml") + GetParam().message);
}

constexpr const char* kTop =
    "extends, model, backend, context, rope, adapters, adapter, adapter_slots, prompt, sampling, "
    "generation, tokenizer, serve, plugins";

INSTANTIATE_TEST_SUITE_P(
    Shape, BadConfig,
    testing::Values(
        Bad{"", ": is empty, expected keys and values."},
        Bad{"# nothing\n", ": is empty, expected keys and values."},
        Bad{"backend: cpu\n",
            ": model is missing, expected a path. Add a line such as model: "
            "../models/airophin-mini."},
        Bad{"model: m\ntemprature: 1\n",
            ":2:1: found the unknown key temprature. Known are extends, model, backend, context, "
            "rope, adapters, adapter, adapter_slots, prompt, sampling, generation, tokenizer, "
            "serve, "
            "plugins."},
        Bad{"model: m\nadapters: [a]\n",
            ":2:11: adapters: found a list, expected a map of names to folders."},
        Bad{"model: m\nadapters: {none: a}\n",
            ":2:12: adapters.none: expected a name of letters, digits, _, . and -, at most 64 "
            "bytes, other than none."},
        Bad{"model: m\nadapters: {\"a:b\": a}\n",
            ":2:12: adapters.a:b: expected a name of letters, digits, _, . and -, at most 64 "
            "bytes, other than none."},
        Bad{"model: m\nadapters: {a: 5}\n", ":2:15: adapters.a: found 5, expected a path."},
        Bad{"model: m\nadapters: {a: {scale: 2}}\n",
            ":2:15: adapters.a: path is missing, expected a folder."},
        Bad{"model: m\nadapters: {a: {path: p, scale: 0}}\n",
            ":2:32: adapters.a: scale: found 0, expected a finite number other than 0."},
        Bad{"model: m\nadapters: {a: {path: p, scale: .inf}}\n",
            ":2:32: adapters.a: scale: found .inf, expected a finite number other than 0."},
        Bad{"model: m\nadapters: {a: {path: p, base: 5}}\n",
            ":2:31: adapters.a: found 5, expected a path."},
        Bad{"model: m\nadapters: {a: {path: p, rank: 3}}\n",
            ":2:25: adapters.a: found the unknown key rank, expected path, scale or base."},
        Bad{"model: m\nadapters: {a: p, a: q}\n",
            ":2:18: found the key a a second time, first on line 2. Remove one of them."},
        Bad{"model: m\nadapters: {a: p}\nadapter: b\n",
            ":3:10: adapter: found b, expected one of none, a. Name it under adapters, as {name: "
            "folder}."},
        Bad{"model: m\nadapter_slots: 0\n",
            ":2:16: adapter_slots: found 0, expected an integer from 1 to 512."},
        Bad{"model: m\nlora: a\n", ":2:1: found the unknown key lora. It is adapters here."},
        Bad{"model: m\nmax_tokens: 9\n",
            ":2:1: found the unknown key max_tokens. It is generation.max_new_tokens here."},
        Bad{"model: m\nrope_scaling: {type: linear}\n",
            ":2:1: found the unknown key rope_scaling. It is rope here."},
        Bad{"model: m\ngeneration: {top_p: 0.9}\n",
            ":2:14: found the unknown key generation.top_p. It is sampling.top-p here."},
        Bad{"model: m\nseed: 3\n", ":2:1: found the unknown key seed. It is generation.seed here."},
        Bad{"model: m\ngeneration: {max-new-tokens: 1, max_new_tokens: 2}\n",
            ":2:14: found the unknown key generation.max-new-tokens. It is "
            "generation.max_new_tokens here."},
        Bad{"modle: m\n", ":1:1: found the unknown key modle. Did you mean model."},
        Bad{"model: m\ncontext:\n  lenght: 3\n",
            ":3:3: found the unknown key context.lenght. Did you mean length."},
        Bad{"model: m\nmodel: n\n",
            ":2:1: found the key model a second time, first on line 1. Remove one of them."},
        Bad{"model: m\ncontext: {length: 1, length: 2}\n",
            ":2:22: found the key length a second time, first on line 2. Remove one of them."},
        Bad{"model: m\ncontext:\n",
            ":2:1: context: found nothing, expected a map of length, kv_cache, page_tokens. Indent "
            "its keys below it, or remove it."},
        Bad{"model: m\ngeneration: [1]\n",
            ":2:13: generation: found a list, expected a map of max_new_tokens, seed, stop. Indent "
            "its "
            "keys below it, or remove it."},
        Bad{"model: &a m\nprompt: {system: *a}\n",
            ":1:8: found an anchor or alias, which are not allowed. Write the value out, or use "
            "extends: to share settings."},
        Bad{"model: &a [*a]\n",
            ":1:8: found an anchor or alias, which are not allowed. Write the value out, or use "
            "extends: to share settings."},
        Bad{"model: !!str m\n",
            ":1:8: found the tag tag:yaml.org,2002:str, expected none. Remove it."},
        Bad{"model: m\n---\nmodel: n\n",
            ":2:1: found a second document, expected one. Remove it and what follows."},
        Bad{"? [a]\n: 1\n", ":1:3: found a key that is not a name, expected name: value."},
        Bad{"model: [m\n", ":2:1: is not YAML: end of sequence flow not found."},
        Bad{"model: m\n\tcontext: {}\n",
            ":2:1: is not YAML: illegal tab when looking for indentation."},
        Bad{"model: \"\\0\"\n", ":1:8: found an escape that is not a character, expected text."}));

INSTANTIATE_TEST_SUITE_P(
    Values, BadConfig,
    testing::Values(
        Bad{"model: ~\n", ":1:8: model: found nothing, expected a path."},
        Bad{"model: 7\n", ":1:8: model: found 7, expected a path."},
        Bad{"model: \"\"\n", ":1:8: model: found \"\", expected a path."},
        Bad{"model: ~/models/x\n",
            ":1:8: model: found ~/models/x, expected a path. Write ~ and variables out, only a "
            "shell replaces them."},
        Bad{"model: ${HOME}/x\n",
            ":1:8: model: found ${HOME}/x, expected a path. Write ~ and variables out, only a "
            "shell replaces them."},
        Bad{"model: m\ngeneration: {max_new_tokens: \"many\"}\n",
            ":2:30: generation.max_new_tokens: found \"many\", expected an integer from 1 to "
            "16777216."},
        Bad{"model: m\ngeneration: {max_new_tokens: -1}\n",
            ":2:30: generation.max_new_tokens: found -1, expected an integer from 1 to 16777216."},
        Bad{"model: m\ngeneration: {max_new_tokens: 9223372036854775808}\n",
            ":2:30: generation.max_new_tokens: found 9223372036854775808, expected an integer from "
            "1 to 16777216."},
        Bad{"model: m\ngeneration: {max_new_tokens: 1e400}\n",
            ":2:30: generation.max_new_tokens: found 1e400, expected an integer from 1 to "
            "16777216."},
        Bad{"model: m\ngeneration: {seed: 18446744073709551616}\n",
            ":2:20: generation.seed: found 18446744073709551616, expected an integer from 0 to "
            "18446744073709551615."},
        Bad{"model: m\ngeneration: {stop: [a, 7]}\n",
            ":2:24: generation.stop: found 7, expected a list of texts."},
        Bad{"model: m\ngeneration: {stop: a}\n",
            ":2:20: generation.stop: found a, expected a list of texts."},
        Bad{"model: m\ngeneration: {stop: [\"\"]}\n",
            ":2:20: generation.stop: expected at most 64 texts of 1 to 1024 bytes."},
        Bad{"model: m\ncontext: {length: 0}\n",
            ":2:19: context.length: found 0, expected an integer from 1 to 16777216."},
        Bad{"model: m\ncontext: {length: 1e3}\n",
            ":2:19: context.length: found 1e3, expected an integer from 1 to 16777216."},
        Bad{"model: m\ncontext: {length: 0o17}\n",
            ":2:19: context.length: found 0o17, expected an integer from 1 to 16777216."},
        Bad{"model: m\ncontext: {length: .inf}\n",
            ":2:19: context.length: found .inf, expected an integer from 1 to 16777216."},
        Bad{"model: m\ncontext: {kv_cache: f8}\n",
            ":2:21: context.kv_cache: found f8, expected one of f16, int8, f32."},
        Bad{"model: m\nserve: {sampling: {bounds: [temperature=2..1]}}\n",
            ":2:29: serve.sampling.bounds: found temperature=2..1, expected FIELD=MIN..MAX, such "
            "as "
            "temperature=0..1.5."},
        Bad{"model: m\ncontext: {page_tokens: 100}\n",
            ":2:24: context.page_tokens: found 100, expected one of 32, 64, 128, 256."},
        Bad{"model: m\nprompt: {system: no}\n",
            ":2:18: prompt.system: found no, expected text, quoted where YAML reads it as another "
            "type."},
        Bad{"model: m\nprompt: {truncate: [refuse]}\n",
            ":2:20: prompt.truncate: found a list, expected one of drop-oldest, refuse."},
        Bad{"model: m\ntokenizer: {legacy: no}\n",
            ":2:21: tokenizer.legacy: found no, expected true or false."},
        Bad{"model: m\ntokenizer: {legacy: \"true\"}\n",
            ":2:21: tokenizer.legacy: found \"true\", expected true or false."},
        Bad{"model: m\nplugins: {paths: p}\n",
            ":2:18: plugins.paths: found p, expected a list of paths."}));

INSTANTIATE_TEST_SUITE_P(
    Plugins, BadConfig,
    testing::Values(
        Bad{"model: m\nbackend: ../evil\n",
            ":2:10: backend: found ../evil, expected a plugin's name. Names are letters, digits, - "
            "and _, or a dot inside."},
        Bad{"model: m\nbackend: [cpu]\n",
            ":2:10: backend: found a list, expected a name, or a map with name."},
        Bad{"model: m\nbackend: {name: ~}\n",
            ":2:17: backend.name: found nothing, expected a plugin's name. Names are letters, "
            "digits, - and _, or a dot inside."},
        Bad{"model: m\nbackend: {device: -1}\n",
            ":2:19: backend.device: found -1, expected an integer from 0 to 1023."},
        Bad{"model: m\nbackend: {threads: 4}\n",
            ":2:11: backend: found the option threads without a backend's name. Say whose option "
            "it is, for example {name: cpu, ...}."},
        Bad{"model: m\nrope: {factor: 2}\n",
            ":2:7: rope: policy is missing, expected a name. For example rope: {policy: linear, "
            "factor: 2.0}."},
        Bad{"model: m\nrope: {policy: from-model, factor: 2}\n",
            ":2:28: rope: from-model has no options. Name a policy, or remove the options."},
        Bad{"model: m\nsampling: greedy\n",
            ":2:11: sampling: found greedy, expected a list of samplers. For example "
            "[{temperature: 0.7}, {top-p: 0.9}]."},
        Bad{"model: m\nsampling:\n  - {temperature: 1, top-p: 1}\n",
            ":3:5: sampling[0]: found a map of 2 keys, expected one name with its options. For "
            "example `- top-p: 0.9` or `- top-p: {p: 0.9}`."},
        Bad{"model: m\nsampling:\n  - greedy\n  - temperature:\n",
            ":4:5: sampling[1]: found nothing after the name, expected a value or a map. Write `- "
            "temperature` to leave its options as they are."},
        Bad{"model: m\nsampling: [[a]]\n",
            ":2:12: sampling[0]: found a list, expected a name, or a map of one name to its "
            "options. For example `- top-p: 0.9` or `- top-p: {p: 0.9}`."}));

TEST(BadConfigText, ThatIsNotUtf8NamesTheByte) {
  EXPECT_EQ(error_of([] { parse("model: \xff\n"); }),
            "2 /etc/c.yaml: is not UTF-8 at byte 7. Save the file as UTF-8.");
  EXPECT_THAT(error_of([] { parse(std::string("\xff\xfem\0o\0", 6)); }),
              HasSubstr("at byte 0: it begins as UTF-16 does. Save the file as UTF-8"));
  EXPECT_EQ(error_of([] { parse(std::string("model: a\0b\n", 11)); }),
            "2 /etc/c.yaml: found control byte 0x00 at byte 8, expected text. Give a configuration "
            "in YAML, or a model's folder.");
  // A picture, a program: what a slip of the finger names.
  EXPECT_EQ(error_of([] { parse("\x89PNG\r\n\x1a\n"); }),
            "2 /etc/c.yaml: is not UTF-8 at byte 0. Give a configuration in YAML, or a model's "
            "folder.");
}

TEST(BadConfigText, ThatGrowsIsStoppedEarly) {
  const auto repeat = [](const std::string& text, size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  for (const char* opening : {"[", "{", "{a: ", "- ", "? "})
    EXPECT_THAT(error_of([&] { parse("model: " + repeat(opening, 100000)); }),
                testing::AnyOf(HasSubstr("is nested too deeply, expected at most 64 levels."),
                               HasSubstr("is not YAML")))
        << opening;
  EXPECT_THAT(error_of([&] { parse(repeat("[", 100000)); }),
              HasSubstr("/etc/c.yaml:1:33: is nested too deeply"));
  EXPECT_THAT(error_of([&] { parse("model: m\nsampling: [" + repeat("a, ", 20000) + "a]\n"); }),
              HasSubstr("found more than 10000 values."));
  EXPECT_THAT(error_of([&] { parse("model: m\nsampling: [" + repeat("a, ", 100) + "a]\n"); }),
              HasSubstr("sampling: found 101 samplers, expected at most 64."));
}

TEST(BadConfigFile, IsRefusedBeforeItIsRead) {
  const TemporaryFolder scratch;
  const auto load = [](const fs::path& file) {
    return error_of([&] { load_config({.file = file}); });
  };
  EXPECT_EQ(load("/nonexistent/c.yaml"),
            "2 /nonexistent/c.yaml: cannot be opened: No such file or directory. Give the path of "
            "a configuration file.");
  EXPECT_EQ(load(scratch.path()), "2 " + scratch.path().string() +
                                      ": is a folder, expected a regular file. Give the path of a "
                                      "configuration file.");
  const fs::path fifo = scratch.path() / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(load(fifo), HasSubstr("is a device, pipe or socket, expected a regular file"));
  EXPECT_THAT(load("/dev/zero"), HasSubstr("is a device, pipe or socket"));
  EXPECT_THAT(load(scratch.write("empty.yaml", "")), HasSubstr("is empty"));
  EXPECT_THAT(load(scratch.write("big.yaml", "model: " + std::string(1 << 20, 'm'))),
              HasSubstr("is larger than 1048576 bytes, too large for a configuration."));
}

TEST(BadConfigFile, ThatAnyoneMayWriteIsWarnedOf) {
  const TemporaryFolder scratch;
  const fs::path file = scratch.write("c.yaml", "model: m\n");
  fs::permissions(file, fs::perms::others_write, fs::perm_options::add);
  testing::internal::CaptureStderr();
  load_config({.file = file});
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "warning: " + file.string() +
                ": may be written by every user of this machine. Take the right away: chmod o-w " +
                file.string() + ".\n");
  EXPECT_THAT(error_of([&] { load_config({.file = file, .trust = Trust::refuse}); }),
              StartsWith("2 " + file.string() + ": may be written by every user"));
}

// Names in messages come from the file and may be made to harm a terminal.
TEST(BadConfigText, IsQuotedHarmlessly) {
  const std::string message = error_of([] { parse("\"\\x1b[2J\": 1\n"); });
  EXPECT_THAT(message, HasSubstr("found the unknown key \\x1b[2J."));
  EXPECT_THAT(message, HasSubstr(kTop));
}

}  // namespace
}  // namespace ropewalk::test
