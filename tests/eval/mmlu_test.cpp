#include "core/eval/mmlu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/eval/csv.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// The answers of Python's csv.reader to the same text.
TEST(Csv, ReadsWhatPythonWrites) {
  const auto rows =
      parse_csv("a,\"b, c\",\"d \"\"e\"\"\"\r\n\n\"two\nlines\",,x \"y\" z\nlast", "f.csv");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_THAT(rows[0].cells, ElementsAre("a", "b, c", "d \"e\""));
  EXPECT_THAT(rows[1].cells, ElementsAre("two\nlines", "", "x \"y\" z"));
  EXPECT_THAT(rows[2].cells, ElementsAre("last"));
  EXPECT_EQ(rows[1].line, 3u);
  EXPECT_EQ(rows[2].line, 5u);
  EXPECT_TRUE(parse_csv("", "f.csv").empty());
}

TEST(Csv, SaysWhereAQuoteIsWrong) {
  EXPECT_THAT(error_of([] { parse_csv("a\nb,\"c\nd", "f.csv"); }),
              StartsWith("2 f.csv:2: found a quote that is not closed"));
  EXPECT_THAT(error_of([] { parse_csv("\"a\"b,c", "f.csv"); }),
              StartsWith("2 f.csv:1: found text after a closing quote"));
}

TEST(Mmlu, RowsAreAQuestionFourChoicesAndALetter) {
  const auto questions = parse_mmlu("q,1,2,3,4,C\n", "t.csv");
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].text, "q");
  EXPECT_EQ(questions[0].choices[3], "4");
  EXPECT_EQ(questions[0].answer, 2u);
  EXPECT_THAT(
      error_of([] { parse_mmlu("q,1,2,3,4,C\nq,1,2,3,C", "t.csv"); }),
      StartsWith("2 t.csv:2: found 5 cells, expected a question, four choices and a letter"));
  for (const char* letter : {"E", "", "c", "AB"})
    EXPECT_THAT(error_of([&] { parse_mmlu(std::string("q,1,2,3,4,") + letter, "t.csv"); }),
                AllOf(StartsWith("2 t.csv:1: "), HasSubstr("expected A, B, C or D")));
}

TEST(Mmlu, AveragesWeighQuestionsOrSubjects) {
  const std::vector<MmluScore> scores = {{"a", 10, 5, 0}, {"b", 2, 2, 0}, {"c", 0, 0, 0}};
  EXPECT_DOUBLE_EQ(micro_average(scores), 7.0 / 12);
  EXPECT_DOUBLE_EQ(macro_average(scores), 0.75);
  EXPECT_EQ(micro_average({}), 0);
  EXPECT_EQ(macro_average({}), 0);
}

TEST(Mmlu, FormsHaveNames) {
  EXPECT_EQ(mmlu_form_named("hendrycks"), MmluForm::hendrycks);
  EXPECT_EQ(mmlu_form_named("lm-eval"), MmluForm::lm_eval);
  EXPECT_FALSE(mmlu_form_named("lmeval"));
}

}  // namespace
}  // namespace ropewalk::test
