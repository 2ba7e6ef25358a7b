#include "core/quantize/journal.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using quantize::Journal;
using quantize::Start;
using ::testing::AllOf;
using ::testing::HasSubstr;

const Json kFingerprint = {{"settings", {{"bits", 4}, {"group_size", 32}}}, {"version", "0.1.0"}};

class JournalFile : public ::testing::Test {
 protected:
  // Three finished layers.
  void fill() {
    Journal journal(file, kFingerprint, Start::resume);
    for (int layer = 0; layer < 3; ++layer) journal.append({{"layer", layer}});
  }

  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "quantize.journal";
};

TEST_F(JournalFile, GoesOnWhereItEnded) {
  fill();
  Journal again(file, kFingerprint, Start::resume);
  ASSERT_EQ(again.entries().size(), 3u);
  EXPECT_EQ(again.entries()[2]["layer"], 2);
  again.append({{"layer", 3}});
  EXPECT_EQ(again.entries().size(), 4u);
}

// Whatever byte a crash cut it at: what was finished before is there, and nothing else.
TEST_F(JournalFile, DropsALineThatWasCutShort) {
  fill();
  const std::string whole = read_file(file);
  for (size_t size = 0; size <= whole.size(); ++size) {
    write_file(file, whole.substr(0, size));
    const auto lines = static_cast<size_t>(std::ranges::count(whole.substr(0, size), '\n'));
    {
      Journal journal(file, kFingerprint, Start::resume);
      ASSERT_EQ(journal.entries().size(), lines == 0 ? 0 : lines - 1) << size;
      journal.append({{"layer", 9}});
    }
    ASSERT_EQ(Journal(file, kFingerprint, Start::resume).entries().back()["layer"], 9) << size;
  }
}

TEST_F(JournalFile, NoticesEveryFlippedBit) {
  fill();
  const std::string whole = read_file(file);
  for (size_t i = 0; i < whole.size(); ++i) {
    if (whole[i] == '\n')
      continue;  // two lines become one, which is no JSON, or the last is cut short
    std::string spoilt = whole;
    spoilt[i] = static_cast<char>(spoilt[i] ^ 1);
    write_file(file, spoilt);
    try {
      const Journal journal(file, kFingerprint, Start::resume);
      FAIL() << "byte " << i << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::model) << error.what();
    }
  }
}

TEST_F(JournalFile, RefusesAnotherRunsSettings) {
  fill();
  Json other = kFingerprint;
  other["settings"]["bits"] = 3;
  expect_error(ExitCode::usage,
               AllOf(HasSubstr("quantize.journal: fingerprint.settings.bits: differs"),
                     HasSubstr("--fresh to begin anew")),
               [&] { Journal(file, other, Start::resume); });
  EXPECT_EQ(Journal(file, kFingerprint, Start::resume).entries().size(), 3u)
      << "and leaves them alone";
}

TEST_F(JournalFile, BeginsAnewWhereAsked) {
  fill();
  Json other = kFingerprint;
  other["settings"]["bits"] = 3;
  EXPECT_TRUE(Journal(file, other, Start::anew).entries().empty());
  EXPECT_TRUE(Journal(file, other, Start::resume).entries().empty());
}

TEST_F(JournalFile, IsHeldByOneRun) {
  const Journal first(file, kFingerprint, Start::resume);
  expect_error(ExitCode::usage, HasSubstr("is held by another run"),
               [&] { Journal(file, kFingerprint, Start::resume); });
}

TEST_F(JournalFile, SaysWhereItCannotBeWritten) {
  expect_error(ExitCode::output, HasSubstr("cannot be written"), [&] {
    Journal(folder.path() / "none/quantize.journal", kFingerprint, Start::resume);
  });
}

}  // namespace
}  // namespace ropewalk::test
