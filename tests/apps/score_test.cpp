// score, against transformers' log-probabilities (tools/fixtures).
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string config_of(const TemporaryFolder& folder, const std::string& model) {
  return folder.write("a.yaml", "model: " RW_FIXTURES "/models/" + model +
                                    "\nbackend: cpu\ncontext: {kv_cache: f32}\n");
}

std::string ids_text(const Json& ids) {
  std::string text;
  for (const Json& id : ids) text += std::to_string(id.get<int32_t>()) + "\n";
  return text;
}

class Score : public ::testing::TestWithParam<const char*> {};

TEST_P(Score, AgreesWithTransformers) {
  const TemporaryFolder folder;
  const Json expected =
      Json::parse(read_file(std::string(RW_FIXTURES "/models/") + GetParam() + "/expected.json"));
  const Outcome outcome = run_program(
      {"score", config_of(folder, GetParam()), "--ids", "-", "--json"}, ids_text(expected["ids"]));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(answer["ids"], expected["ids"]);
  ASSERT_EQ(answer["logprobs"].size(), expected["logprobs"].size());
  EXPECT_TRUE(answer["logprobs"][0].is_null());
  double nll = 0;
  for (size_t i = 1; i < expected["logprobs"].size(); ++i) {
    nll -= expected["logprobs"][i].get<double>();
    EXPECT_NEAR(answer["logprobs"][i].get<double>(), expected["logprobs"][i].get<double>(), 1e-3);
  }
  EXPECT_NEAR(answer["nll"].get<double>(), nll, 1e-2);
  EXPECT_EQ(answer["tokens"], expected["ids"].size() - 1);
}

INSTANTIATE_TEST_SUITE_P(Models, Score,
                         ::testing::Values("dense-f32", "dense-bf16-torch-sharded",
                                           "gptq-b4-airophin", "gptq-autogptq-b3-asym",
                                           "rope-linear"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

TEST(ScoreText, HasALineForEveryToken) {
  const TemporaryFolder folder;
  const std::string ids = folder.write("ids.txt", "1 2\t3\r\n4\n");
  const Outcome outcome = run_program({"score", config_of(folder, "dense-f32"), "--ids", ids}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 4);
  EXPECT_THAT(outcome.out,
              AllOf(StartsWith("1\t2\t-"), HasSubstr("\nnll "), HasSubstr(", 3 tokens")));
}

struct BadIds {
  std::string text;
  int code;
  std::string message;
};

class ScoreRefuses : public ::testing::TestWithParam<BadIds> {};

TEST_P(ScoreRefuses, IdsThatAreNone) {
  const TemporaryFolder folder;
  const std::string ids = folder.write("ids.txt", GetParam().text);
  const Outcome outcome =
      run_program({"score", config_of(folder, "dense-f32"), "--ids", ids, "--json"}, "");
  EXPECT_EQ(outcome.code, GetParam().code);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr(GetParam().message));
}

std::string many_ids(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += "7 ";
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    All, ScoreRefuses,
    ::testing::Values(BadIds{"", 2, "no token id"},
                      BadIds{"1 2\n3 four 5", 2, "ids.txt:2:3: found four, expected a token id"},
                      BadIds{"1 -2", 2, "ids.txt:1:3: found -2"},
                      BadIds{"1 0x10", 2, "ids.txt:1:3: found 0x10"},
                      BadIds{"1 2147483648", 2, "ids.txt:1:3: found 2147483648"},
                      BadIds{std::string("1 2\0 3", 6), 2, "ids.txt: has a NUL at byte 3"},
                      BadIds{"1 96 2", 10, "found id 96, expected 0 to 95"},
                      BadIds{many_ids(257), 10, "found 257 tokens, the context holds 256"}));

}  // namespace
}  // namespace ropewalk::test
