// Plugins that misbehave while a reply is made: the request ends with the plugin's name, the
// program with its exit code.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class LyingSampler : public ::testing::Test {
 protected:
  Arguments with(const std::string& name) const {
    return {"run",      config_,
            "--set",    "sampling=[" + name + "]",
            "--set",    "plugins.paths=[\"" RW_LIARS "/" + name + ".so\"]",
            "--prompt", "hi"};
  }

  TemporaryFolder folder_;
  std::string config_ = write_small_config(folder_.path(), {.context = 4096});
};

struct Lie {
  const char* name;
  const char* message;
};

class Later : public LyingSampler, public ::testing::WithParamInterface<Lie> {};

TEST_P(Later, EndsTheRequestByName) {
  const Outcome outcome = run_program(with(GetParam().name), "");
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(GetParam().name), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, Later,
    ::testing::Values(Lie{"fails-later", "five tokens are enough"},
                      Lie{"writes-past", "wrote past the candidates that it was given"},
                      Lie{"writes-before", "wrote past the candidates that it was given"},
                      Lie{"leaves-nothing", "left no candidate, expected at least one"},
                      Lie{"crashes-later", "crashes-later.so: crashed in its own code (signal 11)"},
                      Lie{"aborts-later", "aborts-later.so: crashed in its own code (signal 6)"},
                      Lie{"throws-later",
                          "threw \"five tokens were too many\" out of a function "
                          "that must not throw"},
                      Lie{"throws-own-later", "threw an exception out of a function that must "},
                      Lie{"hollow", "crashed while it was loaded to be looked at (signal 11"},
                      Lie{"throws-at-load", "crashed while it was loaded to be looked at"}));

TEST_F(LyingSampler, WhatWasSaidBeforeIsThere) {
  EXPECT_NE(run_program(with("fails-later"), "").out, "");
}

// Nothing can stop a function of a library in one's own process; a second Ctrl-C ends the program.
TEST_F(LyingSampler, ThatNeverReturnsIsEndedByTheUser) {
  Program program(with("hangs-later"));
  ASSERT_TRUE(program.wait_for_output(""));
  program.signal(SIGINT);
  program.signal(SIGINT);
  const Outcome outcome = program.finish();
  EXPECT_EQ(outcome.code, 130);
}

TEST_F(LyingSampler, ThatLeavesAThreadBehindDoesNotKeepTheProgram) {
  const Outcome outcome = run_program(with("starts-thread"), "");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace ropewalk::test
