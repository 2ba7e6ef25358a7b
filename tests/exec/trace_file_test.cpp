// A trace's form, held against the "Trace Event Format" of the Chromium project: which fields an
// event must have, of which types, and that complete events of a track do not overlap.
#include "core/exec/trace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/json/json.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TraceFiles : public testing::Test {
 protected:
  Json read() const { return Json::parse(read_file(path_)); }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "trace.json";
};

TEST_F(TraceFiles, IsAnObjectWithEvents) {
  TraceFile file(path_);
  EXPECT_EQ(read(), Json::parse(R"({"displayTimeUnit":"ns","traceEvents":[]})"));
  file.name_track(2, "a device");
  file.add({2, "q_proj", "matmul", 1'234'567, 2'000'000, R"({"bytes":5})"});
  file.flush();
  EXPECT_EQ(read(), Json::parse(R"({"displayTimeUnit":"ns","traceEvents":[
    {"name":"thread_name","ph":"M","pid":1,"tid":2,"args":{"name":"a device"}},
    {"name":"q_proj","cat":"matmul","ph":"X","ts":1234.567,"dur":765.433,"pid":1,"tid":2,
     "args":{"bytes":5}}]})"));
}

// A program that is killed leaves what the last flush() wrote.
TEST_F(TraceFiles, IsCompleteAfterEveryFlush) {
  TraceFile file(path_);
  for (int64_t i = 0; i < 10; ++i) {
    file.add({1, "a name that becomes longer", "", i, i + 1, "{}"});
    file.flush();
    EXPECT_EQ(read()["traceEvents"].size(), i + 1);
  }
}

// Perfetto drops a slice that begins before the one in front of it has ended. It reads a time as
// a double and rounds it to nanoseconds: neither may make neighbours overlap.
TEST_F(TraceFiles, NeighboursTouchAndDoNotOverlap) {
  TraceFile file(path_);
  const int64_t hour = 3'600'000'000'000;
  for (int64_t i = 0; i < 1000; ++i)
    file.add({1, "a", "b", hour + i * 333, hour + (i + 1) * 333, "{}"});
  file.flush();
  const Json trace = read();
  int64_t end = hour;
  for (const Json& event : trace["traceEvents"]) {
    const int64_t begin = std::llround(event["ts"].get<double>() * 1000);
    EXPECT_EQ(begin, end);
    end = begin + std::llround(event["dur"].get<double>() * 1000);
  }
  EXPECT_EQ(end, hour + 333'000);
}

TEST_F(TraceFiles, NamesMayHoldAnyBytes) {
  TraceFile file(path_);
  file.add({1, "a \"name\"\n\xff", "b", 0, 1, "{}"});
  file.flush();
  EXPECT_EQ(read()["traceEvents"][0]["name"], "a \"name\"\n\xef\xbf\xbd");
}

TEST_F(TraceFiles, AFileThatCannotBeWrittenIsAnError) {
  expect_error(ExitCode::output,
               AllOf(HasSubstr("t.json: cannot be written: No such file or directory"),
                     HasSubstr("Check the folder")),
               [&] { TraceFile(folder_.path() / "none" / "t.json"); });
  expect_error(ExitCode::output, HasSubstr("No space left on device"),
               [] { TraceFile("/dev/full"); });
}

}  // namespace
}  // namespace ropewalk::test
