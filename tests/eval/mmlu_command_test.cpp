// mmlu: exact prompts, choices and scores against transformers (tools/fixtures/
// evaluation.py), and what the command does where the context is short.
#include <gmock/gmock.h>

#include <cmath>
#include <tuple>

#include "core/eval/mmlu.h"
#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kMmluFixtures = RW_FIXTURES "/eval/";

std::string mmlu_config(const TemporaryFolder& folder) {
  return folder.write("eval.yaml", "model: " + kMmluFixtures +
                                       "model\nbackend: cpu\nrope: {policy: linear, factor: 2}\n"
                                       "context: {length: 2048, kv_cache: f32}\n");
}

Json expected_rows() { return Json::parse(read_file(kMmluFixtures + "expected.json"))["mmlu"]; }

std::vector<MmluQuestion> questions_of(const std::string& kind, const std::string& subject) {
  const std::string file = kMmluFixtures + "mmlu/" + kind + "/" + subject + "_" + kind + ".csv";
  return parse_mmlu(read_file(file), file);
}

TEST(MmluPrompt, IsThatOfTheProgramsThatDefineIt) {
  size_t compared = 0;
  for (const Json& row : expected_rows()) {
    const std::string subject = row["subject"];
    const auto shots = questions_of("dev", subject), asked = questions_of("test", subject);
    const auto form = mmlu_form_named(row["form"].get<std::string>());
    ASSERT_TRUE(form);
    EXPECT_EQ(mmlu_prompt(*form, subject, std::span(shots).first(row["shots"].get<size_t>()),
                          asked.at(row["question"].get<size_t>())),
              row["prompt"].get<std::string>());
    ++compared;
  }
  EXPECT_EQ(compared, 32u);
}

class MmluForms : public ::testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(MmluForms, ScoreAsTransformers) {
  const auto [form, shots] = GetParam();
  const TemporaryFolder folder;
  const Outcome outcome =
      run_program({"mmlu", mmlu_config(folder), "--data", kMmluFixtures + "mmlu", "--form", form,
                   "--shots", std::to_string(shots), "--json", "--details"},
                  "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(answer["bos"], true);
  size_t at = 0, right = 0;
  for (const Json& row : expected_rows()) {
    if (row["form"] != form || row["shots"] != shots) continue;
    SCOPED_TRACE(row["prompt"].get<std::string>());
    const Json& ours = answer["questions"].at(at++);
    EXPECT_EQ(ours["subject"], row["subject"]);
    EXPECT_EQ(ours["choice"], row["choice"]);
    EXPECT_EQ(ours["answer"], row["answer"]);
    for (size_t i = 0; i < 4; ++i)
      EXPECT_NEAR(ours["scores"][i].get<double>(), row["scores"][i].get<double>(), 1e-3);
    right += row["choice"] == row["answer"];
  }
  ASSERT_EQ(at, 8u);
  ASSERT_EQ(answer["subjects"].size(), 2u);
  EXPECT_EQ(answer["subjects"][0]["subject"], "rope_making");
  EXPECT_EQ(answer["subjects"][0]["questions"], 5);
  EXPECT_DOUBLE_EQ(answer["micro"].get<double>(), static_cast<double>(right) / 8);
  const double first = answer["subjects"][0]["accuracy"],
               second = answer["subjects"][1]["accuracy"];
  EXPECT_DOUBLE_EQ(answer["macro"].get<double>(), (first + second) / 2);
}

INSTANTIATE_TEST_SUITE_P(All, MmluForms,
                         ::testing::Combine(::testing::Values("hendrycks", "lm-eval"),
                                            ::testing::Values(0, 5)));

class MmluCommand : public ::testing::Test {
 protected:
  Outcome run(const Arguments& more) const {
    Arguments arguments = {"mmlu", config_, "--data", kMmluFixtures + "mmlu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, "");
  }

  TemporaryFolder folder_;
  std::string config_ = mmlu_config(folder_);
};

TEST_F(MmluCommand, DropsShotsOnlyWhereTheContextDemandsIt) {
  const Outcome enough = run({"--json", "--details"});
  for (const Json& question : enough.json()["questions"]) EXPECT_EQ(question["shots"], 5);
  EXPECT_EQ(enough.err.find("fewer shots"), std::string::npos);
  const Outcome little = run({"--json", "--details", "--set", "context.length=400"});
  ASSERT_EQ(little.code, 0) << little.err;
  const Json answer = little.json();
  EXPECT_EQ(answer["subjects"][0]["fewer_shots"], 5);
  EXPECT_THAT(little.err, HasSubstr("questions were asked with fewer shots"));
  // One shot less is what the shorter prompt of the same question scores.
  const int shots = answer["questions"][0]["shots"];
  ASSERT_GT(shots, 0);
  ASSERT_LT(shots, 5);
  const Json same = run({"--json", "--details", "--shots", std::to_string(shots)}).json();
  for (size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(answer["questions"][0]["scores"][i].get<double>(),
                same["questions"][0]["scores"][i].get<double>(), 1e-6);
  EXPECT_EQ(run({"--set", "context.length=16"}).code, 10);
}

TEST_F(MmluCommand, AsksWhatItIsToldTo) {
  const Json answer =
      run({"--json", "--subjects", "small_numbers", "--questions", "2", "--no-bos"}).json();
  ASSERT_EQ(answer["subjects"].size(), 1u);
  EXPECT_EQ(answer["subjects"][0]["questions"], 2);
  EXPECT_EQ(answer["bos"], false);
  EXPECT_THAT(run({}).out, AllOf(HasSubstr("rope_making "), HasSubstr("all questions (micro)"),
                                 HasSubstr("mean of subjects (macro)")));
}

TEST_F(MmluCommand, RefusesWhatItCannotAsk) {
  EXPECT_THAT(run({"--subjects", "small_number"}).err, HasSubstr("Did you mean small_numbers"));
  EXPECT_THAT(run({"--form", "hendryks"}).err, HasSubstr("Did you mean hendrycks"));
  EXPECT_THAT(run({"--shots", "6"}).err,
              HasSubstr("rope_making_dev.csv: found 5 questions, expected the 6 of --shots"));
  EXPECT_EQ(run({"--shots", "6"}).code, 2);
  const Outcome nothing = run_program({"mmlu", config_, "--data", kMmluFixtures}, "");
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.err, HasSubstr("found no file SUBJECT_test.csv in it"));
}

}  // namespace
}  // namespace ropewalk::test
