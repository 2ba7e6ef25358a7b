// The program's answers to right and wrong commands and options.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<std::string> kCommands = {"run",     "chat",     "serve",   "score",
                                            "inspect", "plugins",  "devices", "config",
                                            "bench",   "tokenize", "render"};

TEST(CommandLine, HelpListsEveryCommand) {
  const Outcome help = run_program({"--help"}, "");
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const std::string& command : kCommands)
    EXPECT_THAT(help.out, HasSubstr("\n  " + command + " "));
}

TEST(CommandLine, EveryCommandHasHelpAndVersion) {
  for (const std::string& command : kCommands) {
    const Outcome help = run_program({command, "--help"}, "");
    EXPECT_EQ(help.code, 0) << command;
    for (const char* option : {"--set", "--backend", "--quiet", "--verbose", "--version", "--help"})
      EXPECT_THAT(help.out, HasSubstr(option)) << command;
    EXPECT_THAT(help.out, Not(HasSubstr(":UINT in"))) << command;
    const Outcome version = run_program({command, "--version"}, "");
    EXPECT_EQ(version.code, 0) << command;
    EXPECT_THAT(version.out, StartsWith("ropewalk 0.")) << command;
  }
}

TEST(CommandLine, VersionIsOneLine) {
  const Outcome version = run_program({"--version"}, "");
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, StartsWith("ropewalk 0."));
  EXPECT_EQ(version.out.find('\n'), version.out.size() - 1);
}

struct Wrong {
  Arguments arguments;
  std::string message;
};

class WrongCommandLine : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongCommandLine, IsRefusedInOneLine) {
  const Outcome outcome = run_program(GetParam().arguments, "");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr(GetParam().message)));
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongCommandLine,
    ::testing::Values(
        Wrong{{}, "command line: no command was given. See `ropewalk --help`"},
        Wrong{{"rnu", "x.yaml"}, "unknown command rnu. Did you mean run"},
        Wrong{{"frobnicate"}, "unknown command frobnicate"},
        Wrong{{"run"}, "CONFIG is required. See `ropewalk run --help`"},
        Wrong{{"run", "x.yaml", "--promt", "hi"}, "unknown option --promt. Did you mean --prompt"},
        Wrong{{"run", "--jsn", "x.yaml"}, "unknown option --jsn. Did you mean --json"},
        Wrong{{"run", "--promt"}, "unknown option --promt"},
        Wrong{{"chat", "x.yaml", "y.yaml"}, "unexpected argument y.yaml"},
        Wrong{{"run", "x.yaml", "--prompt", "a", "--prompt-ids", "f"},
              "--prompt excludes --prompt-ids"},
        Wrong{{"run", "x.yaml", "--quiet", "--verbose"}, "--quiet excludes --verbose"},
        Wrong{{"run", "x.yaml", "--set"}, "--set"}, Wrong{{"score", "x.yaml"}, "--ids is required"},
        Wrong{{"config", "x.yaml"}, "--dump is required"},
        Wrong{{"tokenize", "x.yaml"}, "--text is required"},
        Wrong{{"bench"}, "neither CONFIG nor --shape was given"},
        Wrong{{"bench", "--shape", "lama2-7b"}, "--shape: found lama2-7b. Did you mean llama2-7b"},
        Wrong{{"bench", "--shape", "airophin-mini", "--quant", "gptq5-g32"}, "found gptq5-g32"},
        Wrong{{"bench", "--shape", "llama2-7b", "--batch", "0"}, "--batch"},
        Wrong{{"bench", "--shape", "llama2-7b", "--prompt", "512,many"}, "--prompt"},
        Wrong{{"run", "x.yaml", "--top-p", "0.9"},
              "unknown option --top-p. Write --set sampling.top-p=VALUE, or the key into the "
              "configuration"},
        Wrong{{"run", "x.yaml", "--ctx-size", "9"}, "Write --set context.length=VALUE"},
        Wrong{{"chat", "x.yaml", "--kv-cache", "f16"}, "Write --set context.kv_cache=VALUE"},
        Wrong{{"run", "x.yaml", "--ctx", "9"}, "Write --set context.length=VALUE"},
        Wrong{{"run", "x.yaml", "-ngl", "99"},
              "unknown option -ngl. The whole model is on one device, which --backend names"},
        Wrong{{"run", "x.yaml", "--file", "f"}, "unknown option --file. Write --prompt-file FILE"},
        Wrong{{"run", "x.yaml", "-t", "8"}, "unknown option -t. Every core is used"},
        Wrong{{"run", "x.yaml", "-p", "a", "-p", "b"}, "--prompt is given 2 times, expected once"},
        Wrong{{"run", "nothere", "-p", "a"},
              "nothere: is neither a configuration nor a model's folder. Give a YAML file, a "
              "model's folder, or ORG/NAME"},
        Wrong{{"run", "x.yaml", "hi", "there"},
              "unexpected argument there. Put a prompt of several words in quotes. See `ropewalk "
              "run --help`"},
        Wrong{{"run", "x.yaml", "-m", "y.yaml"}, "CONFIG or --model is given 2 times"},
        Wrong{{"help", "rnu"}, "unknown command rnu. Did you mean run"},
        Wrong{{"version"}, "unknown command version. Write ropewalk --version"},
        Wrong{{"pull", "org/name"}, "Hugging Face's tool downloads models: hf download ORG/NAME"},
        Wrong{{"completion"}, "SHELL is required"},
        Wrong{{"completion", "fsh"}, "unknown shell fsh. Did you mean fish"},
        Wrong{{"manual", "all"}, "unexpected argument all"},
        Wrong{{"run", "\x1b[31m.yaml"}, "\\x1b[31m.yaml"}));

TEST(CommandLine, EveryOverrideIsTaken) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.yaml", "model: m\n");
  const Outcome dump =
      run_program({"config", file, "--dump", "--set", "context.length=77", "--backend", "cpu",
                   "--set", "generation.seed=5", "--set=prompt.system=a=b"},
                  "");
  EXPECT_EQ(dump.code, 0) << dump.err;
  EXPECT_THAT(dump.out, HasSubstr("length: 77  # --set context.length"));
  EXPECT_THAT(dump.out, HasSubstr("backend: cpu  # --set backend"));
  EXPECT_THAT(dump.out, HasSubstr("seed: 5"));
  EXPECT_THAT(dump.out, HasSubstr("system: \"a=b\""));
}

TEST(CommandLine, HelpIsACommandToo) {
  EXPECT_EQ(run_program({"help"}, "").out, run_program({"--help"}, "").out);
  EXPECT_EQ(run_program({"help", "run"}, "").out, run_program({"run", "--help"}, "").out);
  EXPECT_EQ(run_program({"help", "adapter", "merge"}, "").out,
            run_program({"adapter", "merge", "--help"}, "").out);
}

// What fingers have learned elsewhere.
TEST(CommandLine, ShortFormsAreTheKeysTheyStandFor) {
  const TemporaryFolder folder;
  const std::string config = write_small_config(folder.path(), {});
  const std::string expected =
      run_program({"run", config, "--prompt", "hi", "--set", "generation.max_new_tokens=5", "--set",
                   "sampling=[temperature: 1.5]", "--set", "generation.seed=3"},
                  "")
          .out;
  for (const Arguments& arguments :
       {Arguments{"run", config, "-p", "hi", "-n", "5", "--temp", "1.5", "--seed", "3"},
        Arguments{"run", config, "hi", "-n", "5", "--temperature", "1.5", "--seed", "3"},
        Arguments{"run", "-m", config, "hi", "-n", "5", "--temp", "1.5", "--seed", "3"}}) {
    const Outcome outcome = run_program(arguments, "");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, expected);
  }
}

TEST(CommandLine, ABackendMayBeNamedBesideItsOptions) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.yaml", "model: m\nbackend: cuda\n");
  const Outcome dump = run_program(
      {"config", file, "--dump", "--set", "backend.device=1", "--backend", "vulkan"}, "");
  EXPECT_EQ(dump.code, 0) << dump.err;
  EXPECT_THAT(dump.out, AllOf(HasSubstr("name: vulkan"), HasSubstr("device: 1")));
}

// What a command line of the shell prints.
std::string shell_answer(const std::string& command) {
  std::string answer;
  FILE* pipe = popen(command.c_str(), "r");
  for (int c; (c = std::fgetc(pipe)) != EOF;) answer += static_cast<char>(c);
  return pclose(pipe) == 0 ? answer : "failed: " + answer;
}

// Bash itself completes the last of the words behind `ropewalk`.
std::vector<std::string> completed(const TemporaryFolder& folder, const Arguments& words) {
  std::string list = "ropewalk";
  for (const std::string& word : words) list += " '" + word + "'";
  const std::string script = folder.write(
      "complete.bash", "source <(" RW_PROGRAM " completion bash)\nCOMP_WORDS=(" + list +
                           ")\nCOMP_CWORD=" + std::to_string(words.size()) +
                           "\n_ropewalk 2> /dev/null\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
  std::vector<std::string> found;
  std::string line;
  for (const char c : shell_answer("bash --norc " + script)) {
    if (c != '\n')
      line += c;
    else if (!line.empty())
      found.push_back(std::exchange(line, ""));
  }
  return found;
}

TEST(Completion, OfBashKnowsCommandsOptionsAndValues) {
  using ::testing::ElementsAre;
  using ::testing::IsSupersetOf;
  const TemporaryFolder folder;
  EXPECT_THAT(completed(folder, {""}), IsSupersetOf(kCommands));
  EXPECT_THAT(completed(folder, {"re"}), ElementsAre("recall", "render"));
  EXPECT_THAT(completed(folder, {"adapter", ""}), ElementsAre("check", "merge", "combine"));
  EXPECT_THAT(completed(folder, {"run", "x.yaml", "--prompt-"}),
              ElementsAre("--prompt-file", "--prompt-ids"));
  EXPECT_THAT(completed(folder, {"adapter", "merge", "--ad"}), ElementsAre("--adapter"));
  EXPECT_THAT(completed(folder, {"perplexity", "--te"}), ElementsAre("--text"));
  EXPECT_THAT(completed(folder, {"chat", "--backend", "v"}), ElementsAre("vulkan"));
  EXPECT_THAT(completed(folder, {"chat", "--backend", "=", "v"}), ElementsAre("vulkan"));
  EXPECT_THAT(completed(folder, {"chat", "--set", "context."}),
              IsSupersetOf({"context.length=", "context.kv_cache="}));
  EXPECT_THAT(completed(folder, {"new", "s"}), ElementsAre("sampler"));
  // Files, which bash adds itself where nothing is found.
  EXPECT_THAT(completed(folder, {"run", "--prompt-file", ""}), ElementsAre());
  EXPECT_THAT(completed(folder, {"run", "conf"}), ElementsAre());
}

TEST(Completion, OfEveryShellIsRead) {
  const TemporaryFolder folder;
  for (const char* shell : {"bash", "fish", "zsh"}) {
    const Outcome script = run_program({"completion", shell}, "");
    EXPECT_EQ(script.code, 0);
    for (const char* word : {"quantize", "max-new-tokens", "hf-stride"})
      EXPECT_THAT(script.out, HasSubstr(word)) << shell;
    const std::string known = shell_answer("command -v " + std::string(shell) + " || true");
    if (known.empty()) continue;  // only bash is everywhere
    EXPECT_EQ(shell_answer(std::string(shell) + " -n " +
                           folder.write("script", script.out).string() + " 2>&1"),
              "")
        << shell;
  }
}

TEST(Manual, IsReadWithoutAWarning) {
  const TemporaryFolder folder;
  const Outcome page = run_program({"manual"}, "");
  ASSERT_EQ(page.code, 0) << page.err;
  for (const std::string& command : kCommands)
    EXPECT_THAT(page.out, HasSubstr("\n.SS \"ropewalk " + command));
  EXPECT_THAT(page.out, HasSubstr(R"(\fB\-n\fR, \fB\-\-max\-new\-tokens\fR \fIVALUE\fR)"));
  EXPECT_THAT(page.out, HasSubstr("NO_COLOR"));
  // What all commands have is told once.
  const size_t told = page.out.find(R"(\fB\-\-set\fR)");
  EXPECT_LT(told, page.out.find(".SH COMMANDS"));
  EXPECT_EQ(page.out.find(R"(\fB\-\-set\fR)", told + 1), std::string::npos);
  const std::string file = folder.write("ropewalk.1", page.out);
  if (shell_answer("command -v groff || true").empty()) GTEST_SKIP() << "no groff here";
  EXPECT_EQ(shell_answer("groff -man -ww -z -Tascii " + file + " 2>&1"), "");
}

}  // namespace
}  // namespace ropewalk::test
