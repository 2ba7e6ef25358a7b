#include "core/eval/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// FIPS 180-4's examples.
TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(JsonlTexts, TakesTheLongOnesInOrder) {
  const std::string fifty(50, 'a'), more(51, 'b');
  std::string umlauts;  // 30 characters in 60 bytes
  for (int i = 0; i < 30; ++i) umlauts += "\xc3\xa4";
  const auto line = [](const std::string& text) { return "{\"n\":1,\"text\":\"" + text + "\"}\n"; };
  EXPECT_THAT(
      jsonl_texts(line(fifty) + "\n" + line(more) + line(umlauts) + line(more + "c"), "f", 9),
      ElementsAre(more, more + "c"));
  EXPECT_THAT(jsonl_texts(line(more) + line(more + "c"), "f", 1), ElementsAre(more));
  EXPECT_THAT(jsonl_texts("", "f", 9), IsEmpty());
}

TEST(JsonlTexts, SaysWhichLineIsNone) {
  for (const char* bad : {"{}", "[1]", "{\"text\":null}", "nonsense", "{\"text\":\"a\"} {}"}) {
    SCOPED_TRACE(bad);
    expect_error(ExitCode::usage, HasSubstr("data.jsonl:2"),
                 [&] { jsonl_texts(std::string("\n") + bad, "data.jsonl", 9); });
  }
}

}  // namespace
}  // namespace ropewalk::test
