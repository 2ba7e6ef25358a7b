// The output of a batch: whatever a killed run left, the next one goes on with it.
#include "core/batch/ledger.h"

#include <signal.h>
#include <sys/resource.h>

#include "tests/batch/questions.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using namespace batch;
using testing::HasSubstr;

const Json kQuestions = {{"input", "digest"}, {"shard", "0/1"}};

class LedgerTest : public testing::Test {
 protected:
  Ledger open(FailedLines failed = FailedLines::keep) const {
    return Ledger({.output = output_, .errors = errors_}, kQuestions, failed);
  }
  void begin(const std::vector<std::string>& ids) const {
    Ledger ledger = open();
    ledger.bind("model");
    for (const std::string& id : ids) ledger.add(answer(id), 200);
  }

  TemporaryFolder folder_;
  std::filesystem::path output_ = folder_.path() / "out.jsonl";
  std::optional<std::filesystem::path> errors_;
};

TEST_F(LedgerTest, KnowsWhatWasAnsweredBefore) {
  begin({"a", "b"});
  EXPECT_EQ(read_file(output_), answer("a") + answer("b"));
  Ledger ledger = open();
  ledger.bind("model");
  EXPECT_EQ(ledger.lines(), 2u);
  EXPECT_TRUE(ledger.has("a") && ledger.has("b"));
  EXPECT_FALSE(ledger.has("c"));
  ledger.add(answer("c", 400), 400);
  EXPECT_EQ(ledger.lines(), 3u);
  EXPECT_EQ(ledger.failed(), 1u);
  EXPECT_EQ(read_file(output_), answer("a") + answer("b") + answer("c", 400));
}

// A kill may cut the last line at any byte.
TEST_F(LedgerTest, CutsOffAnUnfinishedLastLine) {
  const std::string whole = answer("a") + answer("b");
  begin({"a", "b"});
  for (size_t bytes = 0; bytes <= whole.size(); ++bytes) {
    write_file(output_, whole.substr(0, bytes));
    const bool a = bytes >= answer("a").size(), b = bytes == whole.size();
    const Ledger ledger = open();
    EXPECT_EQ(ledger.has("a"), a);
    EXPECT_EQ(ledger.has("b"), b);
    EXPECT_EQ(read_file(output_), (a ? answer("a") : "") + (b ? answer("b") : ""));
  }
}

TEST_F(LedgerTest, RefusesAFileThatIsNoBatchs) {
  write_file(output_, "my notes\n");
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("was not begun by `ropewalk batch`"));
  EXPECT_EQ(read_file(output_), "my notes\n");
  EXPECT_FALSE(std::filesystem::exists(output_.string() + ".batch"));
}

TEST_F(LedgerTest, RefusesToMixTwoBatches) {
  begin({"a"});
  const auto other = [&](const Json& questions) {
    return error_of(
        [&] { Ledger({.output = output_, .errors = {}}, questions, FailedLines::keep); });
  };
  EXPECT_THAT(
      other({{"input", "another"}, {"shard", "0/1"}}),
      HasSubstr("2 " + output_.string() + ": holds answers of another batch: input differs"));
  EXPECT_THAT(other({{"input", "digest"}, {"shard", "0/2"}}), HasSubstr("shard differs"));
  EXPECT_THAT(error_of([&] {
                Ledger({.output = output_, .errors = folder_.path() / "e"}, kQuestions,
                       FailedLines::keep);
              }),
              HasSubstr("errors differs"));
  EXPECT_THAT(error_of([&] { open().bind("another model"); }),
              HasSubstr("holds answers of another model, device or configuration"));
  EXPECT_EQ(read_file(output_), answer("a"));
  open().bind("model");
  // Where nothing was answered yet, anything may begin.
  write_file(output_, "");
  Ledger({.output = output_, .errors = {}}, {{"input", "another"}}, FailedLines::keep).bind("m");
}

TEST_F(LedgerTest, LetsOneRunWriteAtATime) {
  const Ledger first = open();
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("another batch writes to this output"));
}

TEST_F(LedgerTest, RefusesDamageThatIsNotAtTheEnd) {
  begin({"a", "b"});
  write_file(output_, answer("a").substr(5) + answer("b"));
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr(":1: is no whole line"));
  write_file(output_, answer("a") + answer("a"));
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr(":2: answers a a second time"));
}

TEST_F(LedgerTest, PutsFailedLinesApart) {
  errors_ = folder_.path() / "errors.jsonl";
  {
    Ledger ledger = open();
    ledger.bind("model");
    ledger.add(answer("a"), 200);
    ledger.add(answer("b", 400), 400);
  }
  EXPECT_EQ(read_file(output_), answer("a"));
  EXPECT_EQ(read_file(*errors_), answer("b", 400));
  const Ledger ledger = open();
  EXPECT_TRUE(ledger.has("a") && ledger.has("b"));
  EXPECT_EQ(ledger.failed(), 1u);
}

TEST_F(LedgerTest, AsksFailedLinesOnceMore) {
  for (const bool apart : {false, true}) {
    if (apart) errors_ = folder_.path() / "errors.jsonl";
    output_ = folder_.path() / (apart ? "apart" : "together");
    {
      Ledger ledger = open();
      ledger.bind("model");
      ledger.add(answer("a"), 200);
      ledger.add(answer("b", 400), 400);
      ledger.add(answer("c"), 200);
    }
    const Ledger ledger = open(FailedLines::ask_again);
    EXPECT_EQ(ledger.lines(), 2u);
    EXPECT_EQ(ledger.failed(), 0u);
    EXPECT_FALSE(ledger.has("b"));
    EXPECT_EQ(read_file(output_), answer("a") + answer("c"));
  }
  EXPECT_EQ(read_file(*errors_), "");
}

// A limit on the size of files stands for a full disk.
TEST_F(LedgerTest, LeavesWholeLinesOnAFullDisk) {
  Ledger ledger = open();
  ledger.bind("model");
  ledger.add(answer("a"), 200);
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{answer("a").size() + 10, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of([&] { ledger.add(answer("b"), 200); });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(message,
              HasSubstr("8 " + output_.string() + ": could not be written: File too large"));
  EXPECT_EQ(read_file(output_), answer("a"));
  EXPECT_EQ(ledger.lines(), 1u);
}

}  // namespace
}  // namespace ropewalk::test
