#include "core/eval/recall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

const char* kLines =
    "{\"filler\":{\"text\":\"f0\"}}\n"
    "{\"needle\":{\"context\":[[\"date\",\"2021-01-01\"]],\"text\":\"n0\"},"
    "\"question\":\"q0?\",\"answer\":\"a0\"}\n\n"
    "{\"filler\":{\"text\":\"f1\"}}\n"
    "{\"needle\":{\"text\":\"n1\"},\"question\":\"q1?\",\"answer\":\"a1\"}\n"
    "{\"filler\":{\"text\":\"f2\"}}\n";

std::string input(const std::string& text) {
  return "BEGININPUT\nBEGINCONTEXT\nENDCONTEXT\n" + text + "\nENDINPUT\n";
}

TEST(Recall, PutsTheNeedleAtItsDepth) {
  const RecallData data = parse_recall(kLines, "r.jsonl");
  ASSERT_EQ(data.cases.size(), 2u);
  ASSERT_EQ(data.fillers.size(), 3u);
  const std::string question = "BEGININSTRUCTION\nq1?\nENDINSTRUCTION\n";
  // The second case begins 7 fillers on, which is the second of three.
  EXPECT_EQ(recall_prompt(data, 1, 2, 0), input("n1") + input("f1") + input("f2") + question);
  EXPECT_EQ(recall_prompt(data, 1, 2, 0.5), input("f1") + input("n1") + input("f2") + question);
  EXPECT_EQ(recall_prompt(data, 1, 2, 1), input("f1") + input("f2") + input("n1") + question);
  EXPECT_EQ(recall_prompt(data, 1, 0, 1), input("n1") + question);
  EXPECT_THAT(recall_prompt(data, 0, 3, 0),
              HasSubstr("BEGINCONTEXT\ndate: 2021-01-01\nENDCONTEXT\nn0"));
}

TEST(Recall, TakesTheMostFillersThatFit) {
  const RecallData data = parse_recall(kLines, "r.jsonl");
  const auto length = [](size_t fillers) { return static_cast<uint32_t>(10 + 5 * fillers); };
  EXPECT_EQ(fillers_within(data, 10, length), 0u);
  EXPECT_EQ(fillers_within(data, 14, length), 0u);
  EXPECT_EQ(fillers_within(data, 15, length), 1u);
  EXPECT_EQ(fillers_within(data, 24, length), 2u);
  EXPECT_EQ(fillers_within(data, 1000, length), 3u);
  EXPECT_THROW(fillers_within(data, 9, length), Error);
}

TEST(Recall, SaysWhichLineIsWrong) {
  for (const char* bad : {"{}", "[]", "{\"needle\":{\"text\":\"a\"},\"question\":\"q\"}",
                          "{\"filler\":{\"text\":\"a\",\"context\":[[\"k\"]]}}",
                          "{\"filler\":{\"text\":\"a\",\"context\":{}}}"}) {
    SCOPED_TRACE(bad);
    expect_error(ExitCode::usage, HasSubstr("r.jsonl:2"),
                 [&] { parse_recall(std::string("\n") + bad, "r.jsonl"); });
  }
  EXPECT_THROW(parse_recall("{\"filler\":{\"text\":\"a\"}}", "r.jsonl"), Error);
}

}  // namespace
}  // namespace ropewalk::test
