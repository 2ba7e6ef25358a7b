// The parts of the program that need no process of their own.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sstream>

#include "apps/chat/user_files.h"
#include "apps/input.h"
#include "apps/progress.h"
#include "apps/save_file.h"
#include "apps/serve/hosted_model.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/standing_line.h"
#include "tests/apps/program.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;

TEST(ParseIds, CountsLinesAndColumns) {
  EXPECT_EQ(parse_ids("1 22\n\t333\r\n", "f"), (std::vector<int32_t>{1, 22, 333}));
  EXPECT_TRUE(parse_ids(" \n", "f").empty());
  expect_error(ExitCode::usage, HasSubstr("f:3:3: found 3x"),
               [&] { parse_ids("1\n 2\n  3x", "f"); });
}

// The XDG specification: a path that is not absolute is invalid and counts as not set.
TEST(StateFolder, IsBelowAnAbsolutePathAlone) {
  const char* const before = getenv("HOME");
  const std::string old = before ? before : "/";
  const TemporaryFolder folder;
  const std::string home = folder.path(), state = folder.path() / "state";
  setenv("HOME", home.c_str(), 1);
  setenv("XDG_STATE_HOME", state.c_str(), 1);
  EXPECT_EQ(state_folder(), folder.path() / "state/ropewalk");
  setenv("XDG_STATE_HOME", "state", 1);
  EXPECT_EQ(state_folder(), folder.path() / ".local/state/ropewalk");
  unsetenv("HOME");
  EXPECT_EQ(state_folder(), "");
  unsetenv("XDG_STATE_HOME");
  setenv("HOME", old.c_str(), 1);
}

// What tests/schedule shows of the scheduler holds of the server with these keys.
TEST(ServeConfig, ReachesTheScheduler) {
  const auto settings = [](const std::string& serve) {
    return schedule_settings(parse_config("model: m\nserve: " + serve, {.file = "c.yaml"}), 100);
  };
  const ScheduleSettings plain = settings("{}");
  EXPECT_EQ(plain.prefill_share, 0.5);
  EXPECT_EQ(plain.max_waiting, 64u);
  EXPECT_EQ(plain.max_waiting_tokens, 800u);
  EXPECT_EQ(plain.queue_time, Seconds(60));
  EXPECT_EQ(plain.prefixes, PrefixCaching::on);
  const ScheduleSettings other = settings(
      "{prefill_share: 20, prefix_cache: off, queue: {requests: 3, prompt_tokens: 7, seconds: 9}}");
  EXPECT_EQ(other.prefill_share, 0.2);
  EXPECT_EQ(other.max_waiting, 3u);
  EXPECT_EQ(other.max_waiting_tokens, 7u);
  EXPECT_EQ(other.queue_time, Seconds(9));
  EXPECT_EQ(other.prefixes, PrefixCaching::off);
}

constexpr std::chrono::milliseconds kAtOnce(0);

TEST(Progress, DrawsNothingForWhatIsQuick) {
  std::ostringstream out;
  {
    Progress progress("loading", {&out, std::chrono::hours(1), 80});
    for (uint64_t done = 0; done <= 10; ++done) progress.show_steps(done, 10);
  }
  EXPECT_EQ(out.str(), "");
}

TEST(Progress, IsOneLineThatIsTakenAway) {
  std::ostringstream out;
  {
    Progress progress("loading", {&out, kAtOnce, 80});
    progress.show_steps(5, 10);
    EXPECT_THAT(out.str(), testing::MatchesRegex("\r\x1b\\[K"
                                                 "loading  50 % \\[#{15}\\.{15}\\]  0:00 left"));
    progress.show_steps(6, 10);  // at most five times a second
    EXPECT_EQ(out.str().rfind('\r'), 0u);
  }
  EXPECT_THAT(out.str(), testing::EndsWith("left\r\x1b[K"));
}

TEST(StandingLine, IsTakenAwayByTheNextNote) {
  testing::internal::CaptureStderr();
  set_standing_line(true);
  warn("one");
  note("two");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "\r\033[Kwarning: one\nnote: two\n");
}

TEST(Progress, OfBytesEndsWithTheRate) {
  std::ostringstream out;
  Progress progress("loading", {&out, kAtOnce, 80});
  for (const uint64_t done : {1u << 20, 3u << 20, 3u << 20}) progress.show_bytes(done, 3u << 20);
  EXPECT_THAT(out.str(), HasSubstr("]  1.00 MiB of 3.00 MiB  "));
  EXPECT_THAT(out.str(),
              testing::ContainsRegex("\x1b\\[Kloading: 3.00 MiB in [0-9.]+ s, [0-9.]+ GB/s\n$"));
}

TEST(Progress, FitsAnyTerminal) {
  const ProgressLine line{"loading the model", 0.42, "perplexity 5.1234, größer", "1:02:03"};
  const auto columns_of = [](std::string_view text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
  };
  for (size_t columns = 1; columns < 120; ++columns)
    EXPECT_LT(columns_of(progress_text(line, columns)),
              std::max<int>(static_cast<int>(columns), 22))
        << columns;
  EXPECT_EQ(progress_text(line, 50), "loading the model  42 %  perplexity  1:02:03 left");
  EXPECT_EQ(progress_text({"loading the model", 0.42, "365 MiB of 845 MiB", "0:12"}, 50),
            "loading the model  42 %  365 MiB  0:12 left");
  EXPECT_EQ(progress_text({"loading the model", 0.42, "365 MiB of 845 MiB", "0:12"}, 36),
            "loading the model  42 %  0:12 left");
  EXPECT_EQ(progress_text({"loading the model", 0.42, "", "0:12"}, 50),
            "loading the model  42 % [#####.......]  0:12 left");
}

TEST(Progress, NowhereIsAllowed) {
  Progress progress("loading", {nullptr, kAtOnce, 80});
  progress.show_steps(5, 10);
}

TEST(SaveFile, ReplacesAndIsPrivate) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a", "old");
  save_file(file, "new");
  EXPECT_EQ(read_file(file), "new");
  struct stat status {};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

// A limit on the size of files stands for a full disk.
TEST(SaveFile, ThatFailsLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a", "old");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{8, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    save_file(file, "more than eight bytes");
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(message, HasSubstr("could not be written: File too large"));
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(SaveFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  for (const std::filesystem::path& path :
       {folder.path(), std::filesystem::path("/dev/full"), folder.path() / "no" / "where"}) {
    SCOPED_TRACE(path);
    expect_error(ExitCode::output, testing::_, [&] { save_file(path, "x"); });
  }
}

}  // namespace
}  // namespace ropewalk::test
