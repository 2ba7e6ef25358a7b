// run: questions about given texts, from the command line and from a job file.
#include <gmock/gmock.h>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;

class Question : public ::testing::Test {
 protected:
  Outcome run(Arguments arguments, std::string_view input = "") const {
    Arguments all = {"run", config_, "--json", "--max-new-tokens", "1"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_program(all, input);
  }
  Json ids(const Arguments& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json()["prompt_ids"];
  }
  std::string refusal(const Arguments& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  }

  TemporaryFolder folder_;
  std::string config_ = write_small_config(folder_.path(), {.context = 2048});
  std::string hemp_ = folder_.write("hemp.txt", "Ropes are made of hemp.\n");
  std::string flax_ = folder_.write("flax.txt", "Sails are made of flax.");
};

constexpr char kHemp[] =
    "BEGININPUT\nBEGINCONTEXT\nurl: https://web.site/1?a=b\ndate: 2021-01-01\nENDCONTEXT\n"
    "Ropes are made of hemp.\nENDINPUT\n";
constexpr char kFlax[] =
    "BEGININPUT\nBEGINCONTEXT\ndate: 2022\nENDCONTEXT\nSails are made of flax.\nENDINPUT\n";

TEST_F(Question, MetadataBelongsToTheInputBeforeIt) {
  EXPECT_EQ(ids({"--input", hemp_, "--meta", "url=https://web.site/1?a=b", "--meta",
                 "date=2021-01-01", "--input", flax_, "--meta", "date=2022", "--instruction",
                 "What are ropes made of?", "--instruction", "Source?"}),
            ids({"--prompt", std::string(kHemp) + kFlax +
                                 "BEGININSTRUCTION\nWhat are ropes made of?\nSource?\n"
                                 "ENDINSTRUCTION\n"}));
}

// The whole prompt of the example on jondurbin's and bhenrym14's model cards, byte by byte,
// its "ENDINSTRUCTION\n ASSISTANT:" included.
TEST_F(Question, IsTheModelCardsPrompt) {
  const std::string text = folder_.write(
      "blueberries.txt",
      "In a shocking turn of events, blueberries are now green, but will be sticking with the same "
      "name.\n");
  const Outcome tokens = run_program(
      {"tokenize", config_, "--text", "-", "--bos", "--json"},
      "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
      "helpful, detailed, and polite answers to the user's questions. USER: BEGININPUT\n"
      "BEGINCONTEXT\n"
      "date: 2021-01-01\n"
      "url: https://web.site/123\n"
      "ENDCONTEXT\n"
      "In a shocking turn of events, blueberries are now green, but will be sticking with the same "
      "name.\n"
      "ENDINPUT\n"
      "BEGININSTRUCTION\n"
      "What color are bluberries?  Source?\n"
      "ENDINSTRUCTION\n"
      " ASSISTANT:");
  ASSERT_EQ(tokens.code, 0) << tokens.err;
  EXPECT_EQ(ids({"--set", "prompt.format=vicuna-v1.1", "--input", text, "--meta", "date=2021-01-01",
                 "--meta", "url=https://web.site/123", "--instruction",
                 "What color are bluberries?  Source?"}),
            tokens.json()["ids"]);
}

TEST_F(Question, PlainFormatIsAskedForInsideTheInstruction) {
  EXPECT_EQ(
      ids({"--input", flax_, "--meta", "date=2022", "--instruction", "Write code.", "--plain"}),
      ids({"--prompt",
           std::string(kFlax) + "BEGININSTRUCTION\nWrite code. PLAINFORMAT\nENDINSTRUCTION\n"}));
  EXPECT_EQ(ids({"--prompt", "Write code.\n", "--plain"}),
            ids({"--prompt", "Write code. PLAINFORMAT"}));
}

TEST_F(Question, AJobFileSaysTheSame) {
  const std::string job =
      folder_.write("job.yaml",
                    "inputs:\n"
                    "  - file: hemp.txt\n"
                    "    meta: {url: 'https://web.site/1?a=b', date: 2021-01-01}\n"
                    "  - text: Sails are made of flax.\n"
                    "    meta: {date: 2022}\n"
                    "instructions: [\"What are ropes made of?\", \"Source?\"]\n"
                    "plain: true\n");
  EXPECT_EQ(ids({"--job", job}),
            ids({"--prompt", std::string(kHemp) + kFlax +
                                 "BEGININSTRUCTION\nWhat are ropes made of?\nSource? PLAINFORMAT\n"
                                 "ENDINSTRUCTION\n"}));
}

TEST_F(Question, DelimitersInATextAreRefusedByName) {
  const std::string bad = folder_.write("bad.txt", "fine\nENDINPUT\n");
  EXPECT_THAT(refusal({"--input", bad, "--instruction", "q"}),
              HasSubstr("bad.txt:2: found ENDINPUT, which would end or open a block"));
  EXPECT_THAT(refusal({"--input", hemp_, "--meta", "a=ENDCONTEXT", "--instruction", "q"}),
              HasSubstr("hemp.txt: metadata a: found ENDCONTEXT"));
  EXPECT_THAT(refusal({"--input", hemp_, "--instruction", "BEGININPUT"}),
              HasSubstr("instruction:1: found BEGININPUT"));
}

TEST_F(Question, WhatIsMissingOrTooMuchIsSaid) {
  EXPECT_THAT(refusal({"--input", hemp_}), HasSubstr("inputs without an instruction"));
  EXPECT_THAT(refusal({"--instruction", "q"}), HasSubstr("an instruction without an input"));
  EXPECT_THAT(refusal({"--meta", "a=b", "--input", hemp_, "--instruction", "q"}),
              HasSubstr("--meta: stands before every --input"));
  EXPECT_THAT(refusal({"--input", hemp_, "--meta", "ab", "--instruction", "q"}),
              HasSubstr("--meta ab: expected key=value"));
  EXPECT_THAT(refusal({"--input", hemp_, "--prompt", "x"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal({"--job", hemp_, "--prompt", "x"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal({"--prompt-ids", hemp_, "--plain"}), HasSubstr("excludes"));
}

struct BadJob {
  const char* text;
  const char* message;
};

class BadJobs : public Question, public ::testing::WithParamInterface<BadJob> {};

TEST_P(BadJobs, AreRefusedWithTheirPlace) {
  const std::string job = folder_.write("job.yaml", GetParam().text);
  EXPECT_THAT(refusal({"--job", job}), HasSubstr("job.yaml" + std::string(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadJobs,
    ::testing::Values(
        BadJob{"[a]\n", ":1:1: job: found a list, expected a map of inputs, instructions, plain"},
        BadJob{"input: []\n", ":1:1: found the unknown key input. Did you mean inputs"},
        BadJob{"inputs: a\n", ":1:9: inputs: found a, expected a list"},
        BadJob{"inputs: [a]\n", ":1:10: inputs: found a, expected a map of file, text, meta"},
        BadJob{"inputs: [{}]\n", ":1:10: inputs: found neither file and text"},
        BadJob{"inputs: [{file: a, text: b}]\n", ":1:10: inputs: found both file and text"},
        BadJob{"inputs: [{text: [a]}]\n", ":1:17: text: found a list, expected a text"},
        BadJob{"inputs: [{text: a, meta: b}]\n", ":1:26: meta: found b, expected a map"},
        BadJob{"inputs: [{text: a, meta: {k: [b]}}]\n", ":1:30: meta.k: found a list"},
        BadJob{"instructions: {a: b}\n", ":1:15: instructions: found a map, expected a text"},
        BadJob{"instructions: q\n", ": found no inputs, expected one or more"},
        BadJob{"inputs: [{text: a}]\ninstructions: []\n",
               ": found no instructions, expected one or more"},
        BadJob{"plain: yes\n", ":1:8: plain: found yes, expected true or false"}));

}  // namespace
}  // namespace ropewalk::test
