// compare: the gate for our own backends on the bundled model, and what the command refuses.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kIds = RW_FIXTURES "/airophin-mini/training-form.ids";

std::string compared_config(const TemporaryFolder& folder, const std::string& name,
                            const std::string& model, const std::string& more) {
  return folder.write(name + ".yaml", "model: " + model + "\n" + more);
}

bool usable(const std::string& backend) {
  const Json devices = run_program({"devices", "--json"}, "").json()["devices"];
  return std::any_of(devices.begin(), devices.end(), [&](const Json& device) {
    return device["backend"] == backend && device["usable"] == true;
  });
}

class Backends : public ::testing::TestWithParam<const char*> {};

TEST_P(Backends, PredictWhatTheCpuPredicts) {
  if (!usable(GetParam())) GTEST_SKIP() << "no usable " << GetParam() << " device";
  const TemporaryFolder folder;
  const std::string model = RW_SOURCE_DIR "/models/airophin-mini";
  const std::string cpu = compared_config(folder, "cpu", model, "backend: cpu\n");
  const std::string other =
      compared_config(folder, "other", model, std::string("backend: ") + GetParam() + "\n");
  const Outcome outcome =
      run_program({"compare", cpu, other, "--ids", kIds, "--windows", "2", "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(answer["tokens"], 2 * 511);
  EXPECT_THAT(answer["b"]["device"].get<std::string>(), StartsWith(GetParam()));
  EXPECT_LE(answer["kl_mean"].get<double>(), 2e-4);
  EXPECT_GE(answer["same_top"].get<double>(), 0.99);
}

INSTANTIATE_TEST_SUITE_P(All, Backends, ::testing::Values("vulkan", "cuda"),
                         [](const auto& test) { return std::string(test.param); });

class CompareCommand : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string mini_ =
      compared_config(folder_, "mini", RW_SOURCE_DIR "/models/airophin-mini", "backend: cpu\n");
  std::string eval_ = compared_config(folder_, "eval", RW_FIXTURES "/eval/model", "backend: cpu\n");
  std::string text_ = RW_FIXTURES "/eval/text.txt";
};

TEST_F(CompareCommand, SeesWhatAnotherPolicyDoes) {
  const std::string scaled = compared_config(folder_, "scaled", RW_FIXTURES "/eval/model",
                                             "backend: cpu\nrope: {policy: linear, factor: 2}\n");
  const Json expected = Json::parse(read_file(RW_FIXTURES "/eval/expected.json"));
  const auto perplexity_of = [&](const char* policy) {
    for (const Json& row : expected["perplexity"])
      if (row["rope"]["policy"] == policy && row["protocol"] == "chunk" && row["context"] == 48)
        return row["perplexity"].get<double>();
    return 0.0;
  };
  const Outcome outcome =
      run_program({"compare", eval_, scaled, "--text", text_, "--context", "48", "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  // The cache is f16 here, the expected figures are f32 throughout.
  EXPECT_NEAR(answer["perplexity_a"].get<double>() / perplexity_of("none"), 1, 2e-3);
  EXPECT_NEAR(answer["perplexity_b"].get<double>() / perplexity_of("linear"), 1, 2e-3);
  EXPECT_GT(answer["kl_mean"], 0.01);
  EXPECT_GE(answer["kl_p99"], answer["kl_mean"]);
  EXPECT_GE(answer["kl_max"], answer["kl_p99"]);
  EXPECT_LT(answer["same_top"], 1.0);
  const Outcome table = run_program({"compare", eval_, eval_, "--text", text_}, "");
  EXPECT_THAT(table.out, HasSubstr("same top token          100.00 %\n"));
}

TEST_F(CompareCommand, RefusesWhatCannotBeCompared) {
  const Outcome tokenizers = run_program({"compare", eval_, mini_, "--text", text_}, "");
  EXPECT_EQ(tokenizers.code, 2);
  EXPECT_THAT(tokenizers.err, HasSubstr("its tokenizer makes other ids"));
  const std::string ids = folder_.write("a.ids", "1 2 3 4 5 6 7 8");
  const Outcome vocabularies =
      run_program({"compare", eval_, mini_, "--ids", ids, "--context", "8"}, "");
  EXPECT_EQ(vocabularies.code, 2);
  EXPECT_THAT(vocabularies.err, AllOf(StartsWith("error: CONFIG_B: "),
                                      HasSubstr("a vocabulary of 1024, CONFIG_A's has 320")));
  EXPECT_EQ(run_program({"compare", eval_}, "").code, 2);
}

}  // namespace
}  // namespace ropewalk::test
