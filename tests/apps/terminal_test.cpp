// The program on a terminal: chat with editing, history, whole characters, and a terminal that is
// itself afterwards; a batch with its progress.
#include <gmock/gmock.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;

// The program with a pseudo terminal for all three streams.
class OnTerminal {
 public:
  OnTerminal(Arguments arguments, const std::filesystem::path& state) {
    std::string program = RW_PROGRAM;
    std::vector<char*> argv = {program.data()};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
    // Where there is no pseudo terminal; -1 would be everybody to kill().
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "forkpty");
    if (pid_ == 0) {
      setenv("TERM", "xterm", 1);
      unsetenv("LANG");
      unsetenv("LC_ALL");
      setenv("XDG_STATE_HOME", state.c_str(), 1);
      execv(RW_PROGRAM, argv.data());
      _exit(127);
    }
  }
  ~OnTerminal() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(terminal_);
  }

  void type(std::string_view keys) const {
    ASSERT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // Waits until this has been shown since the last time something was found.
  bool shows(std::string_view text) {
    for (int waits = 0; waits < 300; ++waits) {
      const size_t at = seen_.find(text, found_);
      if (at != std::string::npos) return found_ = at + text.size(), true;
      pollfd ready{terminal_, POLLIN, 0};
      if (poll(&ready, 1, 100) <= 0) continue;
      std::array<char, 4096> buffer;
      const ssize_t count = read(terminal_, buffer.data(), buffer.size());
      if (count <= 0) return false;
      seen_.append(buffer.data(), static_cast<size_t>(count));
    }
    return false;
  }
  // The exit code, or the signal's number negated; kills it after half a minute.
  int end() const {
    int status = 0;
    for (int waits = 0; waitpid(pid_, &status, WNOHANG) == 0; ++waits) {
      if (waits == 300) kill(pid_, SIGKILL);
      usleep(100'000);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  void signal(int number) const { kill(pid_, number); }
  void resize(unsigned short columns) const {
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(ioctl(terminal_, TIOCSWINSZ, &size), 0);
  }
  bool is_cooked() const {
    termios settings{};
    return tcgetattr(terminal_, &settings) == 0 && (settings.c_lflag & ICANON) != 0 &&
           (settings.c_lflag & ECHO) != 0;
  }
  const std::string& seen() const { return seen_; }

 private:
  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string seen_;
  size_t found_ = 0;
};

class Terminal : public ::testing::Test {
 protected:
  void SetUp() override {
    int host = -1, guest = -1;
    if (openpty(&host, &guest, nullptr, nullptr, nullptr) != 0)
      GTEST_SKIP() << "no pseudo terminal here: " << std::strerror(errno);
    close(host);
    close(guest);
  }
  std::vector<std::string> said() const {
    std::vector<std::string> said;
    const Json saved = Json::parse(read_file(folder_.path() / "c.json"));
    for (const Json& message : saved["messages"])
      if (message["role"] == "user") said.push_back(message["content"]);
    return said;
  }

  Arguments chat_arguments() const {
    return {"chat", config_, "--max-new-tokens", "6", "--set", "prompt.format=vicuna-v1.1"};
  }

  TemporaryFolder folder_;
  std::string config_ = write_small_config(folder_.path(), {});
  std::filesystem::path state_ = folder_.path() / "state";
  std::string save_ = "/save " + (folder_.path() / "c.json").string() + "\r";
};

TEST_F(Terminal, LinesAreEditedAndRemembered) {
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  const char* const lines[] = {
      "hellx\x7fo\r",                  // backspace
      "wrld\x1b[D\x1b[D\x1b[Do\r",     // three to the left
      "\x1b[A\x1b[A\r",                // the line before the last
      "gr\xc3\xa9\x7f\x65\xc3\x9f\r",  // a character of two bytes goes as one
  };
  for (const char* line : lines) {
    chat.type(line);
    ASSERT_TRUE(chat.shows("\n> ")) << chat.seen();  // after the reply, not where a line is redrawn
  }
  chat.type(save_);
  ASSERT_TRUE(chat.shows("messages are in")) << chat.seen();
  EXPECT_THAT(said(), ::testing::ElementsAre("hello", "world", "hello", "gre\xc3\x9f"))
      << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("\x04");
  EXPECT_EQ(chat.end(), 0);
  EXPECT_TRUE(chat.is_cooked());
}

TEST_F(Terminal, CtrlCClearsTheLineAndLeavesOnTheSecondPress) {
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("half a line\x03");
  ASSERT_TRUE(chat.shows("(Ctrl-C again leaves)")) << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("whole\r");
  ASSERT_TRUE(chat.shows("tokens/s")) << chat.seen();
  ASSERT_TRUE(chat.shows("\n> ")) << chat.seen();
  chat.type("\x03");
  ASSERT_TRUE(chat.shows("(Ctrl-C again leaves)")) << chat.seen();  // a line was between
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("\x03");
  EXPECT_EQ(chat.end(), 130);
  EXPECT_TRUE(chat.is_cooked());
  // What was said is not lost.
  const Json left = Json::parse(read_file(state_ / "ropewalk/last-chat.json"));
  EXPECT_EQ(left["messages"][0]["content"], "whole");
}

// Ctrl-C forgets a message that """ began, and a signal ends the chat there as anywhere else.
TEST_F(Terminal, ABlockIsLeftByCtrlCAndByASignal) {
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  for (const char* line : {"\"\"\"\r", "forgotten\r"}) {
    chat.type(line);
    ASSERT_TRUE(chat.shows("l> ")) << chat.seen();  // behind an escape that ends in l
  }
  chat.type("\x03");
  ASSERT_TRUE(chat.shows("(Ctrl-C again leaves)")) << chat.seen();
  ASSERT_TRUE(chat.shows("was not sent")) << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("whole\r");
  ASSERT_TRUE(chat.shows("tokens/s")) << chat.seen();
  ASSERT_TRUE(chat.shows("\n> ")) << chat.seen();
  chat.type("\"\"\"\r");
  ASSERT_TRUE(chat.shows("l> ")) << chat.seen();
  chat.signal(SIGHUP);
  EXPECT_EQ(chat.end(), 128 + SIGHUP);
  const Json left = Json::parse(read_file(state_ / "ropewalk/last-chat.json"));
  ASSERT_EQ(left["messages"].size(), 2u);
  EXPECT_EQ(left["messages"][0]["content"], "whole");
}

TEST_F(Terminal, AClosedTerminalLeavesTheConversation) {
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("kept\r");
  ASSERT_TRUE(chat.shows("tokens/s")) << chat.seen();
  ASSERT_TRUE(chat.shows("\n> ")) << chat.seen();
  chat.signal(SIGHUP);
  EXPECT_EQ(chat.end(), 128 + SIGHUP);
  const Json left = Json::parse(read_file(state_ / "ropewalk/last-chat.json"));
  EXPECT_EQ(left["messages"][0]["content"], "kept");
}

TEST_F(Terminal, CtrlCWithNothingSaidLeavesNoFile) {
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("\x03");
  ASSERT_TRUE(chat.shows("(Ctrl-C again leaves)")) << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("\x03");
  EXPECT_EQ(chat.end(), 130);
  EXPECT_FALSE(std::filesystem::exists(state_ / "ropewalk/last-chat.json"));
}

TEST_F(Terminal, LinesAreRememberedAcrossStarts) {
  {
    OnTerminal chat(chat_arguments(), state_);
    ASSERT_TRUE(chat.shows("> ")) << chat.seen();
    chat.type("remember gr\xc3\xa9\r");
    ASSERT_TRUE(chat.shows("\n> ")) << chat.seen();
    chat.type("\x04");
    EXPECT_EQ(chat.end(), 0);
  }
  const auto mode = std::filesystem::status(state_ / "ropewalk/history").permissions();
  EXPECT_EQ(mode & std::filesystem::perms(077), std::filesystem::perms::none);
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("\x1b[A\r");
  ASSERT_TRUE(chat.shows("\n> ")) << chat.seen();
  chat.type(save_);
  ASSERT_TRUE(chat.shows("messages are in")) << chat.seen();
  EXPECT_THAT(said(), ::testing::ElementsAre("remember gr\xc3\xa9"));
}

TEST_F(Terminal, APastedTextOfSeveralLinesIsOneMessage) {
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("\x1b[200~/usr/bin\r/usr/lib\x1b[201~\r");  // no command, though it begins like one
  ASSERT_TRUE(chat.shows("tokens/s")) << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("say: \x1b[200~one gr\xc3\xa9\r\rtwo\r\x1b[201~\r");
  ASSERT_TRUE(chat.shows("tokens/s")) << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type(save_);
  ASSERT_TRUE(chat.shows("messages are in")) << chat.seen();
  EXPECT_THAT(said(), ::testing::ElementsAre("/usr/bin\n/usr/lib", "say: one gr\xc3\xa9\n\ntwo"))
      << chat.seen();
}

TEST_F(Terminal, TabCompletesCommandsAndFiles) {
  folder_.write("text-to-read.txt", "hello");
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("/rea\t " + (folder_.path() / "text-to").string() + "\t\r");
  ASSERT_TRUE(chat.shows("tokens/s")) << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type(save_);
  ASSERT_TRUE(chat.shows("messages are in")) << chat.seen();
  EXPECT_THAT(said(), ::testing::ElementsAre("hello")) << chat.seen();
}

TEST_F(Terminal, SaysWhatItTalksToAndHowFast) {
  OnTerminal chat(chat_arguments(), state_);
  ASSERT_TRUE(chat.shows("model on cpu")) << chat.seen();
  ASSERT_TRUE(chat.shows("prompt format vicuna-v1.1, context 256 tokens")) << chat.seen();
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  chat.type("hello\r");
  ASSERT_TRUE(chat.shows("6 tokens, ")) << chat.seen();
  ASSERT_TRUE(chat.shows("generation.max_new_tokens, 6, cut the reply off")) << chat.seen();
}

TEST_F(Terminal, ABatchTellsHowLongItTakes) {
  const std::string slow =
      write_small_config(folder_.path() / "slow", {.layers = 8, .hidden = 256, .context = 1024});
  std::string lines;
  for (int i = 0; i < 6; ++i)
    lines += Json({{"custom_id", std::to_string(i)},
                   {"method", "POST"},
                   {"url", "/v1/completions"},
                   {"body", {{"prompt", "hi"}, {"max_tokens", 300}}}})
                 .dump() +
             "\n";
  OnTerminal batch({"batch", slow, "--input", folder_.write("in", lines), "--output",
                    (folder_.path() / "out").string(), "--set", "serve.max_sequences=1"},
                   state_);
  batch.resize(50);
  EXPECT_TRUE(batch.shows(" of 6 lines, 0 failed")) << batch.seen();
  EXPECT_TRUE(batch.shows(" left")) << batch.seen();
  EXPECT_TRUE(batch.shows("6 lines: 6 answered, 0 failed, 0 left")) << batch.seen();
  EXPECT_EQ(batch.end(), 0);
  // One line, which is redrawn in its place and never reaches the last column.
  size_t redraws = 0;
  const std::string& seen = batch.seen();
  for (size_t at = 0; (at = seen.find("\rbatch", at)) != std::string::npos; ++at, ++redraws)
    ADD_FAILURE() << "the line is not cleared before it is redrawn";
  for (size_t at = 0; (at = seen.find("\r\x1b[Kbatch", at)) != std::string::npos; ++redraws) {
    const size_t from = at + 4;
    at = seen.find('\r', from);
    EXPECT_LT(at - from, 50u) << seen.substr(from, at - from);
    EXPECT_EQ(seen.substr(from, at - from).find('\n'), std::string::npos);
  }
  EXPECT_GE(redraws, 1u);
}

TEST_F(Terminal, TokensAreInReverseUnlessNoColourIsWanted) {
  const std::string messages = folder_.write(
      "m.json", R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "</s>"},
                    {"role": "user", "content": "b"}])");
  const Arguments render = {"render",     config_, "--set", "prompt.format=vicuna-v1.1",
                            "--messages", messages};
  unsetenv("NO_COLOR");
  {
    OnTerminal coloured(render, state_);
    EXPECT_TRUE(coloured.shows("</s>\x1b[7m</s>\x1b[27mUSER: b")) << coloured.seen();
    EXPECT_EQ(coloured.end(), 0);
  }
  setenv("NO_COLOR", "1", 1);
  OnTerminal plain(render, state_);
  unsetenv("NO_COLOR");
  EXPECT_TRUE(plain.shows("</s>⟦</s>⟧USER: b")) << plain.seen();
  EXPECT_EQ(plain.end(), 0);
}

TEST_F(Terminal, QuietOrNotNobodyLosesAConversation) {
  Arguments arguments = chat_arguments();
  arguments.push_back("--quiet");
  OnTerminal chat(arguments, state_);
  ASSERT_TRUE(chat.shows("> ")) << chat.seen();
  EXPECT_EQ(chat.seen().find("prompt format"), std::string::npos) << "no banner";
  chat.type("kept\r");
  ASSERT_TRUE(chat.shows("\n> ")) << chat.seen();
  for (int presses = 0; presses < 2; ++presses) {
    chat.type("\x03");
    if (presses == 0) {
      ASSERT_TRUE(chat.shows("(Ctrl-C again leaves)")) << chat.seen();
      ASSERT_TRUE(chat.shows("> ")) << chat.seen();
    }
  }
  EXPECT_EQ(chat.end(), 130);
  const Json left = Json::parse(read_file(state_ / "ropewalk/last-chat.json"));
  EXPECT_EQ(left["messages"][0]["content"], "kept");
}

TEST_F(Terminal, ARunSaysWhatCutItsReply) {
  OnTerminal run({"run", config_, "hi", "-n", "3"}, state_);
  EXPECT_TRUE(run.shows("generation.max_new_tokens, 3, cut the reply off; -n N changes it"))
      << run.seen();
  EXPECT_EQ(run.end(), 0);
}

}  // namespace
}  // namespace ropewalk::test
