// chat: turns, commands and the files that conversations are kept in.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Chat : public ::testing::Test {
 protected:
  Outcome chat(std::string_view input, Arguments arguments = {}) const {
    Arguments all = {"chat",
                     config_,
                     "--max-new-tokens",
                     "6",
                     "--set",
                     "prompt.format=vicuna-v1.1",
                     "--set",
                     "prompt.system=Be brief."};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_program(all, input);
  }
  std::string path(const char* name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
  std::string config_ = write_small_config(folder_.path(), {});
};

TEST_F(Chat, AnswersLineByLineAndEndsWithItsInput) {
  const Outcome outcome = chat("hello\nand again\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_GE(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
}

TEST_F(Chat, SavesAndGoesOnWithWhatWasSaved) {
  const Outcome first = chat("hello\n/save " + path("c.json") + "\nand again\n");
  ASSERT_EQ(first.code, 0) << first.err;
  const Json saved = Json::parse(read_file(path("c.json")));
  EXPECT_EQ(saved["messages"].size(), 2);
  EXPECT_EQ(saved["messages"][0], Json::parse(R"({"role": "user", "content": "hello"})"));
  // The second reply, after a restart, is what it was before.
  const Outcome second = chat("/load " + path("c.json") + "\nand again\n");
  EXPECT_NE(second.out, "");
  EXPECT_THAT(first.out, ::testing::EndsWith(second.out));
}

TEST_F(Chat, ResetForgets) {
  const std::string once = chat("hello\n").out;
  EXPECT_EQ(chat("hello\n/reset\nhello\n").out, once + once);
}

TEST_F(Chat, QuitLeaves) { EXPECT_EQ(chat("/quit\nhello\n").out, ""); }

TEST_F(Chat, UnknownCommandsAreNotSent) {
  const Outcome outcome = chat("/sav x\n/save\n/help\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("/sav is no command"), HasSubstr("write /save FILE"),
                                 HasSubstr("/load FILE")));
}

TEST_F(Chat, ATurnReusesTheCache) {
  const Outcome outcome = chat("hello\nand again\n", {"--verbose"});
  EXPECT_THAT(outcome.err, HasSubstr(" cached)"));
}

TEST_F(Chat, OldTurnsAreDroppedAndThatIsSaidOnce) {
  std::string input;
  for (int i = 0; i < 30; ++i) input += "a question of some length, to fill the context\n";
  const Outcome outcome = chat(input);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const size_t first = outcome.err.find("the conversation outgrew the context");
  ASSERT_NE(first, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("outgrew", first + 30), std::string::npos);
  const Outcome refusing = chat(input, {"--set", "prompt.truncate=refuse"});
  EXPECT_EQ(refusing.code, 0);
  EXPECT_THAT(refusing.err, HasSubstr("the conversation has "));
}

TEST_F(Chat, AMessageThatCannotFitIsForgottenAndTheChatGoesOn) {
  const std::string once = chat("hello\n").out;
  const Outcome outcome = chat(std::string(5000, 'x') + "\nhello\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("the last message with the system message has"));
  EXPECT_EQ(outcome.out, once);
}

TEST_F(Chat, BinaryAndEndlessLinesAreRefused) {
  const Outcome binary = chat("\xff\xfe\nhello\n");
  EXPECT_EQ(binary.code, 0);
  EXPECT_THAT(binary.err, HasSubstr("not UTF-8"));
  EXPECT_EQ(binary.out, chat("hello\n").out);
  const Outcome endless = chat(std::string(3 << 20, 'x'));
  EXPECT_EQ(endless.code, 10);
  EXPECT_THAT(endless.err, HasSubstr("a line of more than"));
}

TEST_F(Chat, AnOldFileSurvivesAFailedSave) {
  const std::string kept = path("kept");
  chat("hello\n/save " + kept + "\n");
  const std::string precious = read_file(kept);
  ASSERT_NE(precious, "");
  // The name of the temporary file would be too long.
  const std::string too_long = path("") + std::string(253, 'n');
  std::filesystem::rename(kept, too_long);
  const Outcome outcome = chat("hello\n/save " + too_long + "\n/save " + path("") + "\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("could not be written"), HasSubstr("unchanged"),
                                 HasSubstr("is not a regular file")));
  EXPECT_EQ(read_file(too_long), precious);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    ++files;
  EXPECT_EQ(files, 3u);  // the model, the configuration and the kept one: nothing temporary
}

struct BadChat {
  const char* text;
  const char* message;
};

class ChatRefuses : public Chat, public ::testing::WithParamInterface<BadChat> {};

TEST_P(ChatRefuses, FilesThatAreNoConversation) {
  const std::string file = folder_.write("bad.json", GetParam().text);
  const std::string once = chat("hello\n").out;
  const Outcome outcome = chat("/load " + file + "\nhello\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr(GetParam().message));
  EXPECT_EQ(outcome.out, once);  // what was there before goes on
}

INSTANTIATE_TEST_SUITE_P(
    All, ChatRefuses,
    ::testing::Values(
        BadChat{"", "bad.json: "}, BadChat{"[]", "ropewalk_chat"},
        BadChat{R"({"messages": []})", "ropewalk_chat"},
        BadChat{R"({"ropewalk_chat": 2, "messages": []})", "ropewalk_chat"},
        BadChat{R"({"ropewalk_chat": 1})", "messages"},
        BadChat{R"({"ropewalk_chat": 1, "messages": [{"role": "tool", "content": ""}]})",
                "found tool, expected system, user or assistant"},
        BadChat{R"({"ropewalk_chat": 1, "messages": [{"role": "user", "content": 1}]})",
                "messages[0].content"},
        BadChat{R"({"ropewalk_chat": 1, "messages": [
                                   {"role": "assistant", "content": "a"}]})",
                "messages[0].role: found assistant, expected user"},
        BadChat{R"({"ropewalk_chat": 1, "messages": [{"role": "user", "content": "a"},
                                   {"role": "user", "content": "b"}]})",
                "messages[1].role: found user, expected assistant"}));

TEST_F(Chat, CtrlCStopsTheReplyAndKeepsWhatWasSaid) {
  write_small_model(folder_.path() / "model", {.layers = 2, .hidden = 64, .context = 65536});
  Program program({"chat", config_, "--max-new-tokens", "60000"});
  program.write("hello\n");
  ASSERT_TRUE(program.wait_for_output(""));
  program.signal(SIGINT);
  ASSERT_TRUE(program.wait_for_output("\n"));
  program.write("/save " + path("c.json") + "\n");
  const Outcome outcome = program.finish();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const Json saved = Json::parse(read_file(path("c.json")));
  EXPECT_EQ(saved["messages"].size(), 2);
  EXPECT_EQ(saved["messages"][1]["content"].get<std::string>() + "\n", outcome.out);
}

TEST_F(Chat, SigtermEndsIt) {
  write_small_model(folder_.path() / "model", {.layers = 2, .hidden = 64, .context = 65536});
  Program program({"chat", config_, "--max-new-tokens", "60000"});
  program.write("hello\n");
  ASSERT_TRUE(program.wait_for_output(""));
  program.signal(SIGTERM);
  const Outcome outcome = program.finish();
  EXPECT_EQ(outcome.code, 143);
  EXPECT_THAT(outcome.out, ::testing::EndsWith("\n"));
}

}  // namespace
}  // namespace ropewalk::test
