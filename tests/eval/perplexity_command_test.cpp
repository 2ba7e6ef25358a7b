// perplexity: every protocol against sums over transformers' logits (tools/fixtures/evaluation.py),
// and what the command says and refuses.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <cmath>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kEval = RW_FIXTURES "/eval/";

// The fixture's model in full precision, beside which only the last digits differ.
std::string eval_config(const TemporaryFolder& folder) {
  return folder.write("eval.yaml",
                      "model: " + kEval + "model\nbackend: cpu\ncontext: {kv_cache: f32}\n");
}

Arguments arguments_of(const std::string& config, const Json& row) {
  const std::string text = row["protocol"] == "jsonl" ? "texts.jsonl" : "text.txt";
  Arguments arguments = {"perplexity", config,
                         "--text",     kEval + text,
                         "--protocol", row["protocol"],
                         "--context",  row["context"].dump(),
                         "--set",      "rope=" + row["rope"].dump(),
                         "--json"};
  for (const char* option : {"stride", "last"}) {
    if (!row.contains(option)) continue;
    arguments.push_back(std::string("--") + option);
    arguments.push_back(row[option].dump());
  }
  return arguments;
}

class Protocols : public ::testing::TestWithParam<const char*> {};

TEST_P(Protocols, AgreeWithTransformersLogits) {
  const TemporaryFolder folder;
  const std::string config = eval_config(folder);
  const Json expected = Json::parse(read_file(kEval + "expected.json"));
  int rows = 0;
  for (const Json& row : expected["perplexity"]) {
    if (row["rope"]["policy"] != GetParam()) continue;
    SCOPED_TRACE(row.dump());
    ++rows;
    const Outcome outcome = run_program(arguments_of(config, row), "");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json answer = outcome.json(), ours = answer["rows"][0];
    EXPECT_EQ(answer["protocol"], row["protocol"]);
    EXPECT_EQ(answer["rope"], GetParam());
    EXPECT_EQ(ours["context"], row["context"]);
    EXPECT_EQ(ours["tokens"], row["tokens"]);
    EXPECT_EQ(ours["windows"], row["windows"]);
    for (const char* figure : {"perplexity", "stderr"}) {
      const double want = row[figure].get<double>();
      EXPECT_NEAR(ours[figure].get<double>(), want, 1e-4 * want) << figure;
    }
    const bool beyond = row["context"] > 64;  // max_position_embeddings
    EXPECT_EQ(outcome.err.find("trained for 64 positions") != std::string::npos, beyond);
  }
  EXPECT_GE(rows, 8);
}

INSTANTIATE_TEST_SUITE_P(Policies, Protocols,
                         ::testing::Values("none", "linear", "dynamic-ntk", "ntk-by-parts"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class PerplexityCommand : public ::testing::Test {
 protected:
  Outcome run(const Arguments& more) const {
    Arguments arguments = {"perplexity", config_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, "");
  }

  TemporaryFolder folder_;
  std::string config_ = eval_config(folder_);
  std::string text_ = kEval + "text.txt";
};

TEST_F(PerplexityCommand, SaysWhatTheFigureDependsOn) {
  const Outcome outcome =
      run({"--text", text_, "--context", "32,64", "--windows", "3", "--last", "8", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  // sha256sum tests/fixtures/eval/text.txt
  EXPECT_EQ(answer["dataset_sha256"],
            "159cd2faf57ee8464cf5a4642f758e6b534dc2beb9bc3da57b46fc50fd371f18");
  EXPECT_EQ(answer["bos"], "none");
  EXPECT_EQ(answer["kv_cache"], "f32");
  EXPECT_EQ(answer["interrupted"], false);
  ASSERT_EQ(answer["rows"].size(), 2u);
  EXPECT_EQ(answer["rows"][1]["context"], 64);
  EXPECT_EQ(answer["rows"][1]["windows"], 3);
  EXPECT_EQ(answer["rows"][1]["tokens"], 24);
  EXPECT_EQ(answer["rows"][1]["last"], 8);
  EXPECT_TRUE(answer["rows"][1]["stride"].is_null());
}

// Contexts measured together are those measured alone: windows of other lengths share the run.
TEST_F(PerplexityCommand, IdsGiveWhatTheirTextGives) {
  const Outcome ids = run_program({"tokenize", config_, "--text", text_}, "");
  const std::string file = folder_.write("text.ids", ids.out);
  for (const char* protocol : {"chunk", "hf-stride"}) {
    const Json from_text =
        run({"--text", text_, "--context", "40,150", "--protocol", protocol, "--json"}).json();
    const Json from_ids =
        run({"--ids", file, "--context", "150", "--protocol", protocol, "--json"}).json();
    EXPECT_EQ(from_text["rows"][1], from_ids["rows"][0]);
    EXPECT_NE(from_text["dataset_sha256"], from_ids["dataset_sha256"]);
  }
}

TEST_F(PerplexityCommand, AnswersAsATableAndAsCsv) {
  const Outcome table = run({"--text", text_, "--context", "32"});
  EXPECT_THAT(table.out, AllOf(StartsWith("protocol chunk, BOS none, cache f32, rope none\n"),
                               HasSubstr("\n      32 ")));
  const Outcome csv = run({"--text", text_, "--context", "32,48", "--csv"});
  EXPECT_THAT(csv.out, StartsWith("context,perplexity,stderr,nll,tokens,windows,of_windows,stride,"
                                  "last,protocol,model,rope,kv_cache,dataset_sha256\n32,"));
  EXPECT_EQ(std::count(csv.out.begin(), csv.out.end(), '\n'), 3);
  EXPECT_EQ(std::count(csv.out.begin(), csv.out.end(), ','), 3 * 13);
}

struct Refusal {
  Arguments arguments;
  int code;
  std::string message;
};

TEST_F(PerplexityCommand, RefusesWhatItCannotMeasure) {
  const std::string bad = folder_.write("bad.jsonl", "{\"text\": \"a\"}\n\n{\"text\": 3}\n");
  const std::string few = folder_.write("few.jsonl", "{\"text\": \"a\"}\n");
  const std::vector<Refusal> refusals = {
      {{"--text", text_}, 2, "--context is required"},
      {{"--context", "32"}, 2, "--text,--ids"},
      {{"--text", text_, "--ids", text_, "--context", "32"}, 2, "--text,--ids"},
      {{"--text", text_, "--context", "1"}, 2, "--context"},
      {{"--text", text_, "--context", "32", "--protocol", "chunks"}, 2, "Did you mean chunk"},
      {{"--text", text_, "--context", "32", "--stride", "8"}, 2, "--stride belongs to hf-stride"},
      {{"--text", text_, "--context", "32", "--protocol", "hf-stride", "--stride", "33"},
       2,
       "found --stride 33, expected at most the context of 32"},
      {{"--text", text_, "--context", "32", "--json", "--csv"}, 2, "--csv"},
      {{"--text", text_, "--context", "5000"}, 10, "at a context of 5000 needs at least 5000"},
      {{"--text", text_, "--context", "1000", "--protocol", "llamacpp"}, 10, "at least 2000"},
      {{"--text", "no.txt", "--context", "32"}, 2, "no.txt: could not be read"},
      {{"--text", bad, "--context", "32", "--protocol", "jsonl"}, 2, "bad.jsonl:3: text: found 3"},
      {{"--text", few, "--context", "32", "--protocol", "jsonl"}, 10, "no text of more than 50"},
      {{"--ids", text_, "--context", "32", "--protocol", "jsonl"}, 2, "reads texts, found --ids"},
  };
  for (const Refusal& refusal : refusals) {
    const Outcome outcome = run(refusal.arguments);
    EXPECT_EQ(outcome.code, refusal.code) << refusal.message;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr(refusal.message)));
    EXPECT_EQ(outcome.out, "");
  }
}

// A window of many takes a second or so; the first are done when the signal comes.
TEST(PerplexitySignals, SigintPrintsWhatItHas) {
  const TemporaryFolder folder;
  const std::string config = write_small_config(folder.path(), {.context = 512});
  std::string ids;
  for (int i = 0; i < 400000; ++i) ids += std::to_string(3 + i % 1000) + " ";
  const std::string file = folder.write("many.ids", ids);
  Program program({"perplexity", config, "--ids", file, "--context", "64,512", "--json"});
  ASSERT_TRUE(program.wait_for_cpu_seconds(2));
  program.signal(SIGINT);
  const Outcome outcome = program.finish();
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(answer["interrupted"], true);
  ASSERT_EQ(answer["rows"].size(), 2u);
  EXPECT_GT(answer["rows"][0]["windows"], 0);
  EXPECT_GT(answer["rows"][0]["perplexity"], 1);
  EXPECT_TRUE(answer["rows"][1]["perplexity"].is_null());
}

}  // namespace
}  // namespace ropewalk::test
