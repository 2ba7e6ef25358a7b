// Signals and broken streams: printed text stays, the exit code says why, and the end comes soon.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Max CPU time from a signal to the end.
constexpr double kSoonSeconds = 1.5;

class Signals : public ::testing::Test {
 protected:
  // A reply of 60,000 tokens takes far longer than a test waits.
  Arguments endless(Arguments arguments) const {
    Arguments all = {"run", config_, "--max-new-tokens", "60000"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  static Outcome end_by(Program& program, int number) {
    const double before = program.cpu_seconds();
    program.signal(number);
    const Outcome outcome = program.finish();
    EXPECT_LT(outcome.cpu_seconds - before, kSoonSeconds);
    EXPECT_EQ(outcome.signal, 0);
    return outcome;
  }

  TemporaryFolder folder_;
  std::string config_ =
      write_small_config(folder_.path(), {.layers = 2, .hidden = 64, .context = 65536});
};

TEST_F(Signals, SigintDuringAReplyEndsItWith130) {
  Program program(endless({"--prompt", "hi"}));
  ASSERT_TRUE(program.wait_for_output(""));
  const Outcome outcome = end_by(program, SIGINT);
  EXPECT_EQ(outcome.code, 130);
  EXPECT_THAT(outcome.out, EndsWith("\n"));
  EXPECT_GT(outcome.out.size(), 1u);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Signals, SigtermDuringAReplyEndsItWith143) {
  Program program(endless({"--prompt", "hi"}));
  ASSERT_TRUE(program.wait_for_output(""));
  const Outcome outcome = end_by(program, SIGTERM);
  EXPECT_EQ(outcome.code, 143);
  EXPECT_THAT(outcome.out, EndsWith("\n"));
}

TEST_F(Signals, AStoppedReplyIsStillAnAnswerInJson) {
  Program program(endless({"--prompt", "hi", "--json"}));
  ASSERT_TRUE(program.wait_for_cpu_seconds(1));
  const Outcome outcome = end_by(program, SIGINT);
  EXPECT_EQ(outcome.code, 130);
  const Json answer = outcome.json();
  EXPECT_EQ(answer["finish"], "cancelled");
  EXPECT_EQ(answer["ids"].size(), answer["stats"]["new_tokens"]);
}

TEST_F(Signals, SigintDuringPrefillEndsIt) {
  std::string ids;
  for (int i = 0; i < 60000; ++i) ids += "5 ";
  const std::string file = folder_.write("ids.txt", ids);
  Program program(endless({"--prompt-ids", file}));
  ASSERT_TRUE(program.wait_for_cpu_seconds(1));
  const Outcome outcome = end_by(program, SIGINT);
  EXPECT_EQ(outcome.code, 130);
  EXPECT_EQ(outcome.out, "\n");
}

TEST_F(Signals, SigintDuringScoreEndsIt) {
  std::string ids;
  for (int i = 0; i < 60000; ++i) ids += "5 ";
  Program program({"score", config_, "--ids", folder_.write("ids.txt", ids)});
  ASSERT_TRUE(program.wait_for_cpu_seconds(1));
  const Outcome outcome = end_by(program, SIGINT);
  EXPECT_EQ(outcome.code, 130);
  EXPECT_EQ(outcome.out, "");
}

TEST_F(Signals, SigintWhileWaitingForInputEndsIt) {
  Program program(endless({"--prompt", "-"}));
  program.write("hi");
  ASSERT_TRUE(program.wait_for_handler(SIGINT));
  EXPECT_EQ(end_by(program, SIGINT).code, 130);
}

// A pipe that nobody reads holds the program in a write; the second Ctrl-C must not wait for it.
TEST_F(Signals, ASecondSigintEndsItWhateverItDoes) {
  const std::string fifo = (folder_.path() / "fifo").string();
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  Program program(endless({"--prompt-file", fifo}));
  ASSERT_TRUE(program.wait_for_handler(SIGINT));
  program.signal(SIGINT);
  EXPECT_EQ(end_by(program, SIGINT).code, 130);
}

TEST_F(Signals, AReaderThatLeavesIsNoError) {
  Program program(endless({"--prompt", "hi"}));
  ASSERT_TRUE(program.wait_for_output(""));
  program.close_output();
  const Outcome outcome = program.finish();
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Signals, AFullDiskIsAnOutputError) {
  const std::vector<Arguments> commands = {{"run", config_, "--prompt", "hi"},
                                           {"run", config_, "--prompt", "hi", "--json"},
                                           {"plugins"},
                                           {"config", config_, "--dump"},
                                           {"--help"}};
  for (const Arguments& command : commands) {
    const Outcome outcome = run_program_into("/dev/full", command);
    EXPECT_EQ(outcome.code, 8) << command[0];
    EXPECT_THAT(outcome.err, AllOf(StartsWith("error: standard output: could not be written"),
                                   HasSubstr("No space left on device")))
        << command[0];
  }
}

}  // namespace
}  // namespace ropewalk::test
