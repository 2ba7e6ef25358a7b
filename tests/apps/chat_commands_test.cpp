// chat: commands that change the conversation and the sampling.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <sstream>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ChatCommands : public ::testing::Test {
 protected:
  Outcome chat(std::string_view input, Arguments arguments = {}) const {
    Arguments all = {"chat", config_, "--max-new-tokens",
                     "6",    "--set", "prompt.format=vicuna-v1.1"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Outcome outcome = run_program(all, input);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  }
  std::string path(const char* name) const { return (folder_.path() / name).string(); }
  Json saved(const char* name) const { return Json::parse(read_file(path(name)))["messages"]; }

  TemporaryFolder folder_;
  std::string config_ = write_small_config(folder_.path(), {.context = 1024});
};

TEST_F(ChatCommands, UndoForgetsTheLastTurn) {
  const std::string once = chat("hello\nthen\n").out;
  EXPECT_EQ(
      chat("hello\nwrong\n/undo\nthen\n/save " + path("c.json") + "\n").err,
      "note: forgot \"wrong\" and its reply\nnote: 4 messages are in " + path("c.json") + "\n");
  EXPECT_EQ(saved("c.json")[2]["content"], "then");
  EXPECT_THAT(chat("hello\nwrong\n/undo\nthen\n").out, HasSubstr(once.substr(once.find('\n'))));
  EXPECT_THAT(chat("/undo\n").err, HasSubstr("there is nothing to undo"));
}

TEST_F(ChatCommands, AByteOrderMarkIsNoPartOfTheFirstLine) {
  const Outcome marked = chat("\xef\xbb\xbf/system Be terse.\n/system\n");
  EXPECT_EQ(marked.out, chat("/system Be terse.\n/system\n").out);
  EXPECT_THAT(marked.err, HasSubstr("note: standard input: the byte-order mark at its beginning is "
                                    "skipped"));
}

TEST_F(ChatCommands, RetrySaysItAnew) {
  const Arguments hot = {"--set", "sampling=[{temperature: 5}]"};
  const Outcome outcome = chat("hello\n/retry\n/retry\n/save " + path("c.json") + "\n", hot);
  std::vector<std::string> replies;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) replies.push_back(line);
  EXPECT_GE(replies.size(), 3u);
  EXPECT_NE(replies[0], replies[1]);
  EXPECT_NE(replies[1], replies[2]);
  const Json messages = saved("c.json");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_THAT(outcome.out, ::testing::EndsWith(messages[1]["content"].get<std::string>() + "\n"));
  EXPECT_THAT(chat("/retry\n").err, HasSubstr("there is no reply yet"));
  // The same commands, the same replies.
  EXPECT_EQ(chat("hello\n/retry\n/retry\n", hot).out, outcome.out);
}

TEST_F(ChatCommands, SystemIsSetShownSavedAndLoaded) {
  const Outcome with = chat("hello\n", {"--set", "prompt.system=Be terse."});
  const Outcome set = chat("/system Be terse.\nhello\n/save " + path("c.json") + "\n");
  EXPECT_EQ(set.out, with.out);
  EXPECT_NE(set.out, chat("hello\n").out);
  EXPECT_THAT(set.err, HasSubstr("the system message: Be terse."));
  EXPECT_EQ(saved("c.json")[0], Json::parse(R"({"role": "system", "content": "Be terse."})"));
  EXPECT_THAT(chat("/load " + path("c.json") + "\n/system\n").err,
              HasSubstr("the system message: Be terse."));
  // A new beginning keeps it.
  EXPECT_EQ(chat("/system Be terse.\nx\n/reset\nhello\n").out,
            chat("/system Be terse.\nx\n").out + with.out);
}

TEST_F(ChatCommands, SetChangesSamplingAndGeneration) {
  const std::string longer = chat("hello\n").out;
  const Outcome shorter = chat("/set generation.max_new_tokens=2\nhello\n");
  EXPECT_LT(shorter.out.size(), longer.size());
  const Outcome hot = chat("/set sampling.temperature=5\nhello\n");
  EXPECT_EQ(hot.out, chat("hello\n", {"--set", "sampling=[{temperature: 5}]"}).out);
  EXPECT_NE(hot.out, longer);
  EXPECT_EQ(chat("/set sampling.temperature=5\n/set sampling.temperature=0\nhello\n").out, longer);
}

TEST_F(ChatCommands, QuitLeavesWhateverStandsBehindIt) {
  const std::string nothing = chat("").out;
  for (const char* quit : {"/quit\nhello\n", "/quit \nhello\n", "/quit now\nhello\n"}) {
    const Outcome outcome = chat(quit);
    EXPECT_EQ(outcome.out, nothing) << quit;
    EXPECT_THAT(outcome.err, Not(HasSubstr("no command"))) << quit;
  }
}

TEST_F(ChatCommands, SetRefusesInWordsAndChangesNothing) {
  const std::string once = chat("hello\n").out;
  const std::pair<const char*, const char*> wrong[] = {
      {"/set model=other", "found the key model, expected one of sampling or generation"},
      {"/set temperature=1", "Write /set sampling.temperature=VALUE"},
      {"/adapter", "the configuration names no adapters"},
      {"/set sampling.temprature=1", "found no sampler called temprature"},
      {"/set sampling.temperature=-1", "expected a number from 0 to 100"},
      {"/set generation.stop=x", "generation.stop: found x, expected a list of texts"},
      {"/set sampling", "expected key.path=value"},
      {"/set", "write /set KEY=VALUE"},
      {"/undo now", "/undo takes nothing behind it"},
      {"/dance", "/dance is no command; /help lists them"},
  };
  for (const auto& [line, message] : wrong) {
    const Outcome outcome = chat(std::string(line) + "\nhello\n");
    EXPECT_THAT(outcome.err, HasSubstr(message)) << line;
    EXPECT_EQ(outcome.out, once) << line;
  }
}

TEST_F(ChatCommands, AnswersToCommandsAreNeverQuiet) {
  const std::string typed = "/undo\n/dance\n/system\nhello\n/undo\n/save " + path("q.json") + "\n";
  EXPECT_EQ(chat(typed, {"--quiet"}).err, chat(typed).err);
}

TEST_F(ChatCommands, SaveLeavesOtherFilesAlone) {
  for (const char* work : {"my thesis", "[]", R"({"messages": []})"}) {
    write_file(path("c.json"), work);
    EXPECT_THAT(chat("hello\n/save " + path("c.json") + "\n").err,
                HasSubstr("c.json: exists and is not a saved conversation; it stays as it is"));
    EXPECT_EQ(read_file(path("c.json")), work);
  }
  write_file(path("c.json"), "");
  for (int twice = 0; twice < 2; ++twice) {
    chat("hello\n/save " + path("c.json") + "\n");
    EXPECT_EQ(saved("c.json").size(), 2u);
  }
}

TEST_F(ChatCommands, OtherWordsForLeavingAndHelp) {
  const std::string nothing = chat("").out;
  for (const char* quit : {"/exit\nhello\n", "/bye\nhello\n"}) EXPECT_EQ(chat(quit).out, nothing);
  EXPECT_EQ(chat("/?\n").err, chat("/help\n").err);
  EXPECT_THAT(chat("/sytsem\n").err, HasSubstr("/sytsem is no command, did you mean /system;"));
}

TEST_F(ChatCommands, ReadSaysWhatIsInAFile) {
  write_file(path("t.txt"), "hello\nthere\n");
  const Outcome outcome = chat("/read " + path("t.txt") + "\n/save " + path("c.json") + "\n");
  EXPECT_EQ(saved("c.json")[0]["content"], "hello\nthere\n");
  write_file(path("t.txt"), "caf\xe9");
  EXPECT_THAT(chat("/read " + path("t.txt") + "\nhello\n").err,
              HasSubstr("t.txt: is not UTF-8 at byte 3"));
  EXPECT_THAT(chat("/read " + path("none.txt") + "\nhello\n").err, HasSubstr("could not be read"));
}

TEST_F(ChatCommands, QuotesHoldAMessageOfSeveralLines) {
  const auto said = [&](const std::string& typed) {
    chat(typed + "/save " + path("c.json") + "\n");
    return saved("c.json")[0]["content"].get<std::string>();
  };
  EXPECT_EQ(said("\"\"\"\none\n\n/two\n\"\"\"\n"), "one\n\n/two");
  EXPECT_EQ(said("\"\"\"one\ntwo\"\"\"\n"), "one\ntwo");
  EXPECT_THAT(chat("\"\"\"\nhello\n").err, HasSubstr("was not closed"));
}

TEST_F(ChatCommands, StopsCanBeSet) {
  const std::string reply = chat("hello\n").out;
  const std::string word = reply.substr(reply.size() / 2, 3);
  const Outcome cut = chat("/set generation.stop=[\"" + word + "\"]\nhello\n");
  EXPECT_THAT(cut.out, Not(HasSubstr(word))) << reply;
}

// Characters take turns: the names of all of them are stops, so none speaks for another.
TEST_F(ChatCommands, NamesAsStops) {
  const std::string format =
      "prompt.format={template: {system: \"{content}\\n\", user: \"Sam: {content}\\n\", "
      "assistant: \"Ann: {content}\\n\", reply: \"Ann:\", stops: [\"\\nSam:\", \"\\nAnn:\"]}}";
  const Outcome rendered =
      run_program({"render", config_, "--set", format, "--set",
                   "prompt.system=Sam and Ann splice ropes.", "--json", "--messages", "-"},
                  R"([{"role":"user","content":"hi"},{"role":"assistant","content":"hello"},
          {"role":"user","content":"again"}])");
  ASSERT_EQ(rendered.code, 0) << rendered.err;
  EXPECT_EQ(rendered.json()["text"],
            "Sam and Ann splice ropes.\nSam: hi\nAnn: hello\nSam: again\nAnn:");
  EXPECT_EQ(rendered.json()["stop"], Json::parse(R"(["\nSam:", "\nAnn:"])"));
  EXPECT_NE(chat("hi\n", {"--set", format}).out, "");
}

TEST_F(ChatCommands, LoadWaitsForNoPipeAndReadsNoFolder) {
  const std::string fifo = path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(chat("/load " + fifo + "\n").err, HasSubstr("fifo: is not a regular file"));
  EXPECT_THAT(chat("/load " + folder_.path().string() + "\n").err,
              HasSubstr("is not a regular file"));
  EXPECT_THAT(chat("/load /dev/zero\n").err, HasSubstr("is not a regular file"));
  EXPECT_THAT(chat("/load -\n").err, HasSubstr("could not be read"));
}

TEST_F(ChatCommands, LoadRefusesWhatCannotGoOn) {
  const std::string once = chat("hello\n").out;
  folder_.write("open.json", R"({"ropewalk_chat": 1, "messages": [
      {"role": "user", "content": "unanswered"}]})");
  const Outcome open = chat("/load " + path("open.json") + "\nhello\n");
  EXPECT_THAT(open.err, HasSubstr("its last message is a user's"));
  EXPECT_EQ(open.out, once);
  folder_.write("twice.json", R"({"ropewalk_chat": 1, "messages": [
      {"role": "system", "content": "a"}, {"role": "system", "content": "b"}]})");
  const Outcome twice = chat("/load " + path("twice.json") + "\nhello\n");
  EXPECT_THAT(twice.err, HasSubstr("messages[1].role: found system, expected user"));
  EXPECT_EQ(twice.out, once);
}

// Formats that take any messages leave it to the chat to count its turns.
TEST_F(ChatCommands, LoadCountsTurnsUnderEveryFormat) {
  folder_.write("half.json", R"({"ropewalk_chat": 1, "messages": [
      {"role": "assistant", "content": "a"}]})");
  const Outcome half =
      chat("/load " + path("half.json") + "\n/undo\n/retry\n", {"--set", "prompt.format=raw"});
  EXPECT_THAT(half.err, AllOf(HasSubstr("messages[0].role: found assistant, expected user"),
                              HasSubstr("there is nothing to undo")));
}

TEST_F(ChatCommands, HelpListsThem) {
  const std::string help = chat("/help\n").err;
  for (const char* name :
       {"/system", "/retry", "/undo", "/reset", "/set", "/save", "/load", "/quit"})
    EXPECT_THAT(help, HasSubstr(name));
}

}  // namespace
}  // namespace ropewalk::test
