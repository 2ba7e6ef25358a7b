// Samplers against transformers' logits processors, on 1000 random vectors each
// (tools/fixtures/samplers.py): the same survivors, probabilities within 1e-6.
#include "tests/plugins/random_vector.h"
#include "tests/plugins/sampler_test.h"

namespace ropewalk::test {
namespace {

struct Step {
  const char* sampler;
  std::vector<const char*> options;  // ours, in the order of the file's
};

// FNV-1a over the ids as 32-bit little-endian words.
uint32_t hash_of(const std::vector<int32_t>& ids) {
  uint32_t hash = 0x811C9DC5;
  for (const int32_t id : ids)
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ (static_cast<uint32_t>(id) >> shift & 0xFF)) * 0x01000193;
  return hash;
}

// Where the values of `steps` stand in a fixture's row.
void run_steps(Row& candidates, const std::vector<Step>& steps, const Json& row,
               const std::vector<int32_t>& history) {
  size_t column = 1;
  for (const Step& step : steps) {
    TestOptions options;
    for (const char* option : step.options) options[option] = row[column++];
    FixedRandom random(0);
    candidates.run(*make(step.sampler, options), {history, 20, &random});
  }
}

void expect_row(const Row& candidates, const Json& row, size_t column) {
  const std::vector<int32_t> ids = candidates.ids();
  ASSERT_EQ(ids.size(), row[column].get<size_t>());
  ASSERT_EQ(hash_of(ids), row[column + 1].get<uint32_t>());
  const abi::SoftmaxScale scale = abi::softmax_scale(candidates.live);
  const auto logits = candidates.logits();
  ASSERT_NEAR(scale.probability(scale.max), row[column + 2].get<double>(), 1e-6);
  ASSERT_NEAR(scale.probability(logits.at(ids[ids.size() / 2])), row[column + 3].get<double>(),
              1e-6);
  ASSERT_NEAR(scale.probability(logits.at(ids.back())), row[column + 4].get<double>(), 1e-6);
}

void expect_transformers(const std::string& name, const std::vector<Step>& steps) {
  const Json fixture = read_fixture("samplers/" + name + ".json");
  const Json& rows = fixture["rows"];
  const Ties ties = fixture["ties"].get<bool>() ? Ties::yes : Ties::no;
  ASSERT_EQ(rows.size(), 1000u);
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(name + " row " + std::to_string(i) + ": " + rows[i].dump());
    const RandomVector vector = random_vector(name, i, rows[i][0].get<uint64_t>(), ties);
    Row candidates(vector.logits);
    run_steps(candidates, steps, rows[i], vector.history);
    expect_row(candidates, rows[i], 1 + fixture["options"].size());
    if (testing::Test::HasFatalFailure()) return;
  }
}

const Step kPenalty = {"repetition-penalty", {"penalty"}};
const Step kTemperature = {"temperature", {"temperature"}};
const Step kTopK = {"top-k", {"k"}};
const Step kTopP = {"top-p", {"p"}};
const Step kMinP = {"min-p", {"p"}};

TEST(Transformers, Temperature) { expect_transformers("temperature", {kTemperature}); }
TEST(Transformers, TopK) { expect_transformers("top-k", {kTopK}); }
TEST(Transformers, TopP) { expect_transformers("top-p", {kTopP}); }
TEST(Transformers, MinP) { expect_transformers("min-p", {kMinP}); }
TEST(Transformers, Typical) { expect_transformers("typical", {{"typical", {"p"}}}); }
TEST(Transformers, Epsilon) { expect_transformers("epsilon", {{"epsilon", {"epsilon"}}}); }
TEST(Transformers, Eta) { expect_transformers("eta", {{"eta", {"epsilon"}}}); }
TEST(Transformers, RepetitionPenalty) { expect_transformers("repetition-penalty", {kPenalty}); }
TEST(Transformers, NoRepeatNgram) {
  expect_transformers("no-repeat-ngram", {{"no-repeat-ngram", {"size"}}});
}
TEST(Transformers, BanTokens) { expect_transformers("ban-tokens", {{"ban-tokens", {"texts"}}}); }
TEST(Transformers, LogitBias) {
  expect_transformers("logit-bias", {{"logit-bias", {"ids", "bias"}}});
}
TEST(Transformers, MinLength) { expect_transformers("min-length", {{"min-length", {"tokens"}}}); }
TEST(Transformers, Chain) {
  expect_transformers("chain", {kPenalty, kTemperature, kTopK, kTopP, kMinP});
}

}  // namespace
}  // namespace ropewalk::test
