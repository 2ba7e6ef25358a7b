// recall, with the bundled model and questions of words that it never saw.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kData = RW_FIXTURES "/airophin-mini/recall.jsonl";
const std::string kConfig = RW_SOURCE_DIR "/configs/cpu.yaml";

TEST(RecallCommand, CountsExactAnswersByDepthAndLength) {
  const Outcome outcome = run_program({"recall", kConfig, "--data", kData, "--length", "180,300",
                                       "--depth", "0,1", "--cases", "4", "--json"},
                                      "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(answer["data_cases"], 4);
  ASSERT_EQ(answer["cells"].size(), 4u);
  int exact = 0;
  for (const Json& cell : answer["cells"]) {
    EXPECT_EQ(cell["cases"], 4);
    EXPECT_LE(cell["mean_prompt_tokens"], cell["length"]);
    EXPECT_DOUBLE_EQ(cell["share"].get<double>(), cell["exact"].get<double>() / 4);
    exact += cell["exact"].get<int>();
  }
  // A second filler fits into the longer ones.
  EXPECT_GT(answer["cells"][2]["mean_prompt_tokens"], answer["cells"][0]["mean_prompt_tokens"]);
  EXPECT_EQ(answer["cells"][1]["depth"], 1.0);
  EXPECT_GE(exact, 6) << outcome.out;  // of 16; the model answers most of such questions
}

TEST(RecallCommand, CountsAWrongAnswerAsWrong) {
  const TemporaryFolder folder;
  const std::string data = read_file(kData);
  Json line = Json::parse(data.substr(0, data.find('\n')));
  const std::string right = line["answer"];
  line["answer"] = right + " ";
  const std::string wrong = folder.write("wrong.jsonl", line.dump() + "\n");
  const Outcome outcome =
      run_program({"recall", kConfig, "--data", wrong, "--length", "220", "--csv"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("length,depth,cases,exact,share,mean_prompt_tokens\n220,0,1,"
                                      "0,0.0000,"));
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 6);
}

TEST(RecallCommand, RefusesWhatItCannotAsk) {
  const Outcome none = run_program({"recall", kConfig, "--data", kData, "--length", "20"}, "");
  EXPECT_EQ(none.code, 10);
  EXPECT_THAT(none.err, AllOf(StartsWith("error: --length: found 20, the question alone has "),
                              HasSubstr("tokens with its answer")));
  EXPECT_EQ(run_program({"recall", kConfig, "--data", kData}, "").code, 2);
  EXPECT_EQ(
      run_program({"recall", kConfig, "--data", kData, "--length", "220", "--depth", "1.5"}, "")
          .code,
      2);
  EXPECT_THAT(run_program({"recall", kConfig, "--data", "-", "--length", "220"}, "{\"a\":1}").err,
              HasSubstr("standard input:1: needle"));
}

}  // namespace
}  // namespace ropewalk::test
