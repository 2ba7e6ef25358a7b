// tokenize and render, on the bundled tokenizer.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The folder has the tokenizer; what else a model has is not looked at.
std::string config_with(const TemporaryFolder& folder, const std::string& rest) {
  return folder.write("a.yaml", "model: " RW_SOURCE_DIR "/models/airophin-mini\n" + rest);
}

// Ids of transformers 4.57.6's LlamaTokenizer with split_special_tokens.
TEST(Tokenize, GivesIdsOfTextAsText) {
  const TemporaryFolder folder;
  const std::string config = config_with(folder, "");
  const Outcome json =
      run_program({"tokenize", config, "--text", "-", "--json"}, "hi </s> there\n");
  ASSERT_EQ(json.code, 0) << json.err;
  EXPECT_EQ(json.json(), Json::parse(R"({"ids": [926, 955, 63, 985, 960, 65, 301, 345, 13]})"));
  const std::string file = folder.write("t.txt", "hi");
  const Outcome plain = run_program({"tokenize", config, "--text", file, "--bos"}, "");
  EXPECT_EQ(plain.code, 0);
  EXPECT_EQ(plain.out, "1 926\n");
}

TEST(Tokenize, OfNothingIsNothing) {
  const TemporaryFolder folder;
  const Outcome json =
      run_program({"tokenize", config_with(folder, ""), "--text", "-", "--json"}, "");
  EXPECT_EQ(json.json(), Json::parse(R"({"ids": []})"));
}

TEST(Tokenize, NamesAFileThatItCannotRead) {
  const TemporaryFolder folder;
  const std::string config = config_with(folder, "");
  const Outcome missing = run_program({"tokenize", config, "--text", "/nowhere/t.txt"}, "");
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err,
              AllOf(StartsWith("error: /nowhere/t.txt: "), HasSubstr("No such file or directory")));
  const Outcome directory = run_program({"tokenize", config, "--text", folder.path()}, "");
  EXPECT_EQ(directory.code, 2);
  EXPECT_THAT(directory.err, HasSubstr("Is a directory"));
  const Outcome endless = run_program({"tokenize", config, "--text", "/dev/zero"}, "");
  EXPECT_EQ(endless.code, 10);
  EXPECT_THAT(endless.err, StartsWith("error: /dev/zero: found more than 64 MiB"));
}

TEST(Tokenize, WithoutATokenizerIsAModelError) {
  const TemporaryFolder folder;
  const std::string config = folder.write("a.yaml", "model: .\n");
  const Outcome outcome = run_program({"tokenize", config, "--text", "-"}, "hi");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr("tokenizer.model")));
}

constexpr char kConversation[] =
    R"([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "</s>"}])";

// FastChat 0.2.36, vicuna_v1.1.
constexpr char kVicuna[] =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: hi ASSISTANT: Hello.</s>"
    "USER: </s> ASSISTANT:";

// The same with its token marked.
constexpr char kMarked[] =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: hi ASSISTANT: Hello."
    "⟦</s>⟧USER: </s> ASSISTANT:";

TEST(Render, GivesThePromptItsIdsAndStops) {
  const TemporaryFolder folder;
  const std::string config =
      config_with(folder, "prompt: {format: vicuna-v1.1}\ngeneration: {stop: [END]}\n");
  const Outcome json = run_program({"render", config, "--messages", "-", "--json"}, kConversation);
  ASSERT_EQ(json.code, 0) << json.err;
  const Json answer = json.json();
  EXPECT_EQ(answer["text"], kVicuna);
  EXPECT_EQ(answer["ids"].front(), 1);
  // The format's own end token is one id, the user's spelling of it is text.
  EXPECT_EQ(std::count(answer["ids"].begin(), answer["ids"].end(), 2), 1);
  EXPECT_THAT(answer["stop"].dump(), AllOf(HasSubstr("USER:"), HasSubstr("END")));
  const Outcome plain =
      run_program({"render", config, "--messages", folder.write("m.json", kConversation)}, "");
  EXPECT_EQ(plain.out, std::string(kMarked) + "\n");
}

// What a user wrote never looks like a token.
TEST(Render, MarksTokensApartFromTexts) {
  const TemporaryFolder folder;
  const std::string config = config_with(folder, "prompt: {format: vicuna-v1.1, system: ''}\n");
  const char* const messages =
      R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "⟦</s>⟧"},
          {"role": "user", "content": "b"}])";
  const Outcome plain = run_program({"render", config, "--messages", "-"}, messages);
  EXPECT_EQ(plain.out, " USER: a ASSISTANT: ⟦⟦</s>⟧⟦</s>⟧USER: b ASSISTANT:\n");
  const Json pieces =
      run_program({"render", config, "--messages", "-", "--json"}, messages).json()["pieces"];
  EXPECT_EQ(pieces, Json::parse(R"([{"text": " USER: a ASSISTANT: ⟦</s>⟧", "token": null},
                                    {"text": "</s>", "token": 2},
                                    {"text": "USER: b ASSISTANT:", "token": null}])"));
}

TEST(Render, TakesTheConfiguredSystemMessageUnlessThereIsOne) {
  const TemporaryFolder folder;
  const std::string config =
      config_with(folder, "prompt: {format: vicuna-v1.1, system: Be brief.}\n");
  const auto render = [&](const char* messages) {
    return run_program({"render", config, "--messages", "-"}, messages).out;
  };
  EXPECT_EQ(render(R"([{"role": "user", "content": "hi"}])"), "Be brief. USER: hi ASSISTANT:\n");
  EXPECT_EQ(render(R"([{"role":"system","content":"Sing."},{"role":"user","content":"hi"}])"),
            "Sing. USER: hi ASSISTANT:\n");
}

struct BadMessages {
  const char* text;
  const char* message;
};

class RenderRefuses : public ::testing::TestWithParam<BadMessages> {};

TEST_P(RenderRefuses, MessagesThatAreNone) {
  const TemporaryFolder folder;
  const std::string config = config_with(folder, "prompt: {format: vicuna-v1.1}\n");
  const Outcome outcome = run_program({"render", config, "--messages", "-"}, GetParam().text);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, RenderRefuses,
    ::testing::Values(BadMessages{"", "-: "}, BadMessages{"{}", "expected a list"},
                      BadMessages{"[1]", "[0]"},
                      BadMessages{R"([{"role": "tool", "content": "x"}])",
                                  "[0].role: found tool, expected system, user or assistant"},
                      BadMessages{R"([{"content": "x"}])", "[0].role"},
                      BadMessages{R"([{"role": "user", "content": null}])", "[0].content"},
                      BadMessages{R"([{"role": "user", "content": ["x"]}])", "[0].content"},
                      BadMessages{R"([{"role": "user", "content": "a"},
                                      {"role": "user", "content": "b"}])",
                                  "is not the assistant's, whose turn it is"},
                      BadMessages{R"([{"role": "assistant", "content": "a"}])",
                                  "is not the user's, whose turn it is"},
                      BadMessages{"[{\"role\": \"user\", \"content\": \"\xff\"}]", "UTF-8"}));

}  // namespace
}  // namespace ropewalk::test
