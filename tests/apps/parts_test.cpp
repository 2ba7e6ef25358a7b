// The parts of the program that need no process of their own.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sstream>

#include "apps/input.h"
#include "apps/progress.h"
#include "apps/save_file.h"
#include "core/base/error.h"
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

TEST(Progress, DrawsNothingForWhatIsQuick) {
  std::ostringstream out;
  Progress progress("loading", ProgressUnit::steps, {&out, std::chrono::hours(1)});
  for (uint64_t done = 0; done <= 10; ++done) progress.show(done, 10);
  EXPECT_EQ(out.str(), "");
}

TEST(Progress, DrawsABarUpToTheEnd) {
  std::ostringstream out;
  Progress progress("loading", ProgressUnit::steps, {&out, std::chrono::milliseconds(0)});
  progress.show(5, 10);
  const std::string half = out.str();
  EXPECT_THAT(half, HasSubstr("loading\n0%   10"));
  progress.show(10, 10);
  const auto stars = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '*');
  };
  EXPECT_EQ(stars(half), 25);
  EXPECT_EQ(stars(out.str()), 51);
}

TEST(Progress, OfBytesEndsWithTheRate) {
  std::ostringstream out;
  Progress progress("loading", ProgressUnit::bytes, {&out, std::chrono::milliseconds(0)});
  for (const uint64_t done : {1u << 20, 3u << 20, 3u << 20}) progress.show(done, 3u << 20);
  EXPECT_THAT(out.str(), testing::ContainsRegex("\\*\n3.00 MiB in [0-9.]+ s, [0-9.]+ GB/s\n$"));
}

TEST(Progress, NowhereIsAllowed) {
  Progress progress("loading", ProgressUnit::steps, {nullptr, std::chrono::milliseconds(0)});
  progress.show(5, 10);
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
