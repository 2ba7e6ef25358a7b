// The RoPE policies against transformers' tables, closed forms in float64, and literals.
#include <gmock/gmock.h>

#include <cmath>

#include "core/abi/rope_scaling.h"
#include "core/base/error.h"
#include "tests/plugins/plugin.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

struct Filled {
  std::vector<double> inv_freq;
  double attention_scale;
  abi::Status status;
};

Filled fill(const std::string& policy, const TestOptions& options,
            const abi::RopeRequest& request) {
  Filled filled{std::vector<double>(request.head_dim / 2, -1), 0, {}};
  abi::RopeTable table{filled.inv_freq};
  filled.status = make_plugin<abi::RopeScaling>(policy, options)->fill(request, table);
  filled.attention_scale = table.attention_scale;
  return filled;
}

constexpr abi::RopeRequest kLlama2 = {128, 10000, 4096, 0, 4096};

uint32_t number_or_zero(const Json& value) { return value.is_null() ? 0 : value.get<uint32_t>(); }

// transformers computes in f32: with rounded exponents and powers, its figures are good to 1e-6.
TEST(RopeScaling, AgreesWithTransformersAndTheClosedForms) {
  const Json rows = read_fixture("rope/tables.json");
  std::map<std::string, int> seen;
  for (const Json& row : rows) {
    const std::string policy = row["policy"];
    const uint32_t max_position = row["max_position"];
    const abi::RopeRequest request = {
        row["head_dim"], row["theta"], max_position, number_or_zero(row["original_max_position"]),
        row["seq_len"].is_null() ? max_position : row["seq_len"].get<uint32_t>()};
    const Filled filled = fill(policy, row["options"].get<TestOptions>(), request);
    const std::string what = policy + row["options"].dump() + " head_dim " +
                             row["head_dim"].dump() + " length " + row["seq_len"].dump();
    ASSERT_TRUE(filled.status.ok()) << what << ": " << filled.status.message;
    const auto expected = row["inv_freq"].get<std::vector<double>>();
    ASSERT_EQ(filled.inv_freq.size(), expected.size()) << what;
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(filled.inv_freq[i] / expected[i], 1, 1e-6) << what << " pair " << i;
    EXPECT_NEAR(filled.attention_scale, row["attention_scale"].get<double>(), 1e-6) << what;
    ++seen[policy];
  }
  EXPECT_EQ(seen.size(), 8u);
  for (const auto& [policy, count] : seen) EXPECT_GE(count, 5) << policy;
}

// Worked out by hand from the papers' formulas for head_dim 128 and theta 10000 (llama3: 500000),
// pairs 0, 1, 16, 31, 32, 48 and 63.
TEST(RopeScaling, GoldenValues) {
  struct Golden {
    const char* policy;
    TestOptions options;
    abi::RopeRequest request;
    std::vector<double> expected;
  };
  abi::RopeRequest llama3 = kLlama2;
  llama3.theta = 500000;
  const Golden goldens[] = {
      {"none", {}, kLlama2, {1, .8659643234, .1, .01154781985, .01, .001, 1.154781985e-4}},
      {"linear",
       {{"factor", 2}},
       kLlama2,
       {.5, .4329821617, .05, 5.773909923e-3, .005, 5e-4, 5.773909923e-5}},
      {"ntk",
       {{"alpha", 2}},
       kLlama2,
       {1, .8564889141, .08385866371, 8.210585522e-3, 7.032275479e-3, 5.897172244e-4,
        5.773909923e-5}},
      {"ntk",
       {{"alpha", 4}},
       kLlama2,
       {1, .8471171852, .07032275479, 5.837787177e-3, 4.945289841e-3, 3.477664048e-4,
        2.886954962e-5}},
      {"ntk-by-parts",
       {{"factor", 4}, {"original_max_position_embeddings", 4096}},
       kLlama2,
       {1, .8659643234, .1, 9.406557596e-3, 7.788564305e-3, 2.5e-4, 2.886954962e-5}},
      {"yarn",
       {{"factor", 16}, {"original_max_position_embeddings", 4096}},
       kLlama2,
       {1, .8659643234, .1, 6.967554763e-3, 5.673076923e-3, 6.25e-5, 7.217387404e-6}},
      {"llama3",
       {{"factor", 8}, {"original_max_position_embeddings", 8192}},
       llama3,
       {1, .8146172339, .03760603093, 8.567514129e-4, 5.248461610e-4, 6.647869871e-6,
        3.068925989e-7}},
  };
  const size_t pairs[] = {0, 1, 16, 31, 32, 48, 63};
  for (const Golden& golden : goldens) {
    const Filled filled = fill(golden.policy, golden.options, golden.request);
    ASSERT_TRUE(filled.status.ok()) << filled.status.message;
    for (size_t i = 0; i < 7; ++i)
      EXPECT_NEAR(filled.inv_freq[pairs[i]] / golden.expected[i], 1, 1e-9)
          << golden.policy << " pair " << pairs[i];
  }
  EXPECT_NEAR(fill("yarn", goldens[5].options, kLlama2).attention_scale, 1.277258872, 1e-9);
}

// The grown base, read off pair 1: inv_freq[1] = base ^ (-2 / 128).
TEST(RopeScaling, DynamicNtkGrowsTheBaseBeyondTheTrainedLength) {
  const std::pair<uint32_t, double> bases[] = {
      {1, 10000}, {4096, 10000}, {6000, 19499.277641}, {8192, 30527.736749}};
  for (const auto& [length, base] : bases) {
    abi::RopeRequest request = kLlama2;
    request.length = length;
    const Filled filled = fill("dynamic-ntk", {{"factor", 2}}, request);
    EXPECT_NEAR(std::pow(filled.inv_freq[1], -64) / base, 1, 1e-9) << length;
  }
}

TEST(RopeScaling, SaysWhetherItVariesWithTheLength) {
  const Json factors(std::vector<double>(64, 1.0));
  EXPECT_TRUE(make_plugin<abi::RopeScaling>("dynamic-ntk", {{"factor", 2}})->varies_with_length());
  EXPECT_TRUE(make_plugin<abi::RopeScaling>("longrope",
                                            {{"short_factor", factors}, {"long_factor", factors}})
                  ->varies_with_length());
  EXPECT_FALSE(make_plugin<abi::RopeScaling>("none", {})->varies_with_length());
  for (const char* policy : {"linear", "ntk-by-parts", "yarn", "llama3"})
    EXPECT_FALSE(make_plugin<abi::RopeScaling>(policy, {{"factor", 2}})->varies_with_length());
  EXPECT_FALSE(make_plugin<abi::RopeScaling>("ntk", {{"alpha", 2}})->varies_with_length());
}

// modeling_rope_utils.py's get_mscale: a factor up to 1 gives 1, and one mscale alone says nothing.
TEST(RopeScaling, YarnsAttentionScale) {
  const auto scale = [](TestOptions options) {
    options["original_max_position_embeddings"] = 4096;
    return fill("yarn", options, kLlama2).attention_scale;
  };
  EXPECT_EQ(scale({{"factor", 0.5}}), 1);
  EXPECT_NEAR(scale({{"factor", 8}}), 1.2079441542, 1e-9);
  EXPECT_NEAR(scale({{"factor", 8}, {"mscale", 0.5}}), 1.2079441542, 1e-9);
  EXPECT_NEAR(scale({{"factor", 8}, {"mscale_all_dim", 0.5}}), 1.2079441542, 1e-9);
  EXPECT_NEAR(scale({{"factor", 8}, {"mscale", 1}, {"mscale_all_dim", 0.5}}), 1.0941799881, 1e-9);
}

// The option, else config.json's original_max_position_embeddings, else max_position_embeddings.
TEST(RopeScaling, TheTrainedLengthComesFromTheOptionFirst) {
  abi::RopeRequest request = kLlama2;
  request.max_position = 16384;
  for (const char* policy : {"yarn", "ntk-by-parts"}) {
    const TestOptions by_option = {{"factor", 4}, {"original_max_position_embeddings", 2048}};
    const TestOptions plain = {{"factor", 4}};
    request.original_max_position = 0;
    const auto option = fill(policy, by_option, request).inv_freq;
    const auto implied = fill(policy, plain, request).inv_freq;
    request.original_max_position = 16384;
    EXPECT_EQ(fill(policy, by_option, request).inv_freq, option) << policy;
    EXPECT_EQ(fill(policy, plain, request).inv_freq, implied) << policy;
    request.original_max_position = 2048;
    EXPECT_EQ(fill(policy, plain, request).inv_freq, option) << policy;
    EXPECT_NE(option, implied) << policy;
  }
  // Repositories of pntk models say both lengths and nothing else.
  request.original_max_position = 4096;
  EXPECT_EQ(fill("ntk-by-parts", {}, request).inv_freq,
            fill("ntk-by-parts", {{"factor", 4}}, request).inv_freq);
}

TEST(RopeScaling, MissingAndWrongOptionsAreRefusedInWords) {
  const auto refused = [](const std::string& policy, const TestOptions& options) -> std::string {
    try {
      const Filled filled = fill(policy, options, kLlama2);
      EXPECT_FALSE(filled.status.ok()) << policy;
      return filled.status.message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return error.what();
    }
  };
  EXPECT_THAT(refused("linear", {}), HasSubstr("option factor is missing"));
  EXPECT_THAT(refused("ntk", {}), HasSubstr("option alpha is missing"));
  EXPECT_THAT(refused("linear", {{"factor", 0}}), HasSubstr("factor: found 0, expected a number"));
  EXPECT_THAT(refused("ntk-by-parts", {}), HasSubstr("are both missing"));
  EXPECT_THAT(refused("llama3", {{"factor", 8}}),
              HasSubstr("original_max_position_embeddings is missing"));
  EXPECT_THAT(refused("llama3", {{"factor", 8}, {"low_freq_factor", 4}}),
              HasSubstr("high_freq_factor is 4, expected more than low_freq_factor, 4"));
  const Json three({1.0, 1.0, 1.0});
  EXPECT_THAT(refused("longrope", {{"short_factor", three}, {"long_factor", three}}),
              HasSubstr("short_factor has 3 numbers, expected 64, half of head_dim"));
  const Json all(std::vector<double>(64, 1.0));
  EXPECT_THAT(refused("longrope", {{"short_factor", all}, {"long_factor", three}}),
              HasSubstr("long_factor has 3 numbers, expected 64, half of head_dim"));
}

// The rope_scaling blocks of published models, by the keys they hold: each is an option.
TEST(RopeScaling, TakesWhatPublishedConfigsSay) {
  const Json factors(std::vector<double>(64, 1.5));
  const std::pair<const char*, TestOptions> configs[] = {
      {"llama3",  // meta-llama/Llama-3.1-8B
       {{"factor", 8.0},
        {"low_freq_factor", 1.0},
        {"high_freq_factor", 4.0},
        {"original_max_position_embeddings", 8192}}},
      {"yarn",  // NousResearch/Yarn-Llama-2-13b-64k
       {{"factor", 16.0}, {"original_max_position_embeddings", 4096}}},
      {"yarn",  // deepseek-ai/DeepSeek-V2-Lite
       {{"beta_fast", 32},
        {"beta_slow", 1},
        {"factor", 40},
        {"mscale", 0.707},
        {"mscale_all_dim", 0.707},
        {"original_max_position_embeddings", 4096}}},
      {"longrope",  // microsoft/Phi-3-mini-128k-instruct
       {{"short_factor", factors},
        {"long_factor", factors},
        {"original_max_position_embeddings", 4096}}},
  };
  for (const auto& [policy, options] : configs)
    EXPECT_TRUE(fill(policy, options, kLlama2).status.ok()) << policy;
}

}  // namespace
}  // namespace ropewalk::test
