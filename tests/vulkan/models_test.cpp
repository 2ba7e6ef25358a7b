// Whole models on Vulkan: every checkpoint of tests/fixtures/models against transformers' answers,
// to the tolerance that the CPU backend has (tests/end_to_end/models_test.cpp), and what the f16
// and int8 caches, batches, cuts and masked features must not change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/eval/score.h"
#include "tests/vulkan/vulkan_model.h"

namespace ropewalk::test {
namespace {

constexpr char kModel[] = "gptq-b4-airophin";  // act-order, groups of 32, linear RoPE

std::vector<std::string> variants() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(models_folder())) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<int32_t> greedy(Runtime& runtime, const std::vector<int32_t>& prompt, size_t count) {
  Sequence sequence(runtime.cache());
  std::vector<int32_t> ids = prompt, fresh = prompt;
  while (ids.size() < prompt.size() + count) {
    const Chunk chunk{&sequence, fresh, Wanted::last, static_cast<uint32_t>(ids.size())};
    const auto logits = runtime.executor().run({&chunk, 1});
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    fresh = {static_cast<int32_t>(best)};
    ids.push_back(fresh[0]);
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(prompt.size()), ids.end()};
}

class VulkanModels : public testing::TestWithParam<std::string> {};

void expect_transformers_answers(const std::string& variant, const Config& config,
                                 double tolerance) {
  const Json expected = expected_of(variant);
  const auto ids = ids_of(variant);
  FixtureModel model(variant, fixture_settings(config));
  const Score result = score(model.runtime, ids, nullptr);
  ASSERT_EQ(result.logprobs.size(), ids.size() - 1);
  for (size_t i = 1; i < ids.size(); ++i) {
    EXPECT_NEAR(result.logprobs[i - 1], expected["logprobs"][i].get<double>(), tolerance)
        << "token " << i;
  }
  const auto want = expected["greedy"].get<std::vector<int32_t>>();
  EXPECT_EQ(greedy(model.runtime, ids, want.size()), want);
}

TEST_P(VulkanModels, AgreesWithTransformers) {
  expect_transformers_answers(GetParam(), vulkan_config(GetParam()), 1e-3);
}

// With the shaders that a GPU runs: x of many rows has 11 bits.
TEST_P(VulkanModels, AgreesWithTransformersCutForAGpu) {
  Config config = vulkan_config(GetParam());
  set_option(config, "tuning", "gpu");
  expect_transformers_answers(GetParam(), config, 1e-2);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, VulkanModels, testing::ValuesIn(variants()),
                         [](const auto& variant) {
                           std::string name = variant.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

std::vector<double> logprobs_of(const Config& config, const std::vector<int32_t>& ids) {
  FixtureModel model(kModel, fixture_settings(config));
  return score(model.runtime, ids, nullptr).logprobs;
}

double furthest(const std::vector<double>& a, const std::vector<double>& b) {
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i)
    most = std::max(most, std::fabs(a[i] - b[i]));
  return most;
}

// A text over several pages.
std::vector<int32_t> long_text() {
  std::vector<int32_t> text;
  while (text.size() < 550) {
    for (const int32_t id : ids_of(kModel)) text.push_back(id);
  }
  return text;
}

Config long_config(const char* backend, KvCacheType cache) {
  Config config = vulkan_config(kModel);
  if (std::string(backend) == "cpu") {
    config.backend = {};
    config.backend.plugin.name = "cpu";
  }
  config.context.length = 600;
  config.context.kv_cache = cache;
  return config;
}

TEST(Vulkan, AgreesWithTheCpuOverSeveralPagesWithEveryCache) {
  const std::vector<int32_t> text = long_text();
  for (const KvCacheType cache : {KvCacheType::f32, KvCacheType::f16, KvCacheType::int8}) {
    const auto vulkan = logprobs_of(long_config("vulkan", cache), text);
    const auto cpu = logprobs_of(long_config("cpu", cache), text);
    // A code of the int8 cache at a tie may round the other way.
    EXPECT_LT(furthest(vulkan, cpu), cache == KvCacheType::int8 ? 2e-2 : 2e-3);
  }
}

TEST(Vulkan, TheSameRunGivesTheSameBits) {
  FixtureModel model(kModel, fixture_settings(vulkan_config(kModel)));
  const auto ids = ids_of(kModel);
  const auto first = score(model.runtime, ids, nullptr).logprobs;
  for (int run = 0; run < 5; ++run) EXPECT_EQ(score(model.runtime, ids, nullptr).logprobs, first);
}

TEST(Vulkan, SequencesInOneStepDoNotMix) {
  RuntimeSettings settings = fixture_settings(vulkan_config(kModel));
  settings.max_sequences = 8;
  FixtureModel model(kModel, settings);
  const auto ids = ids_of(kModel);
  const uint32_t vocab = model.runtime.executor().vocab_size();
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<float>> alone;
  for (std::ptrdiff_t i = 0; i < 8; ++i) {
    prompts.emplace_back(ids.begin() + i, ids.end());
    Sequence sequence(model.runtime.cache());
    const Chunk chunk{&sequence, prompts.back(), Wanted::last, 64};
    const auto logits = model.runtime.executor().run({&chunk, 1});
    alone.emplace_back(logits.begin(), logits.end());
  }
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Chunk> heads, tails;
  for (size_t i = 0; i < prompts.size(); ++i) {
    sequences.push_back(std::make_unique<Sequence>(model.runtime.cache()));
    const std::span<const int32_t> prompt = prompts[i];
    heads.push_back({sequences[i].get(), prompt.first(prompt.size() - i - 1), Wanted::none, 64});
    tails.push_back({sequences[i].get(), prompt.last(i + 1), Wanted::last, 64});
  }
  for (const Chunk& head : heads) model.runtime.executor().run({&head, 1});
  const auto logits = model.runtime.executor().run(tails);
  for (size_t i = 0; i < prompts.size(); ++i) {
    for (uint32_t v = 0; v < vocab; ++v) {
      ASSERT_NEAR(logits[i * vocab + v], alone[i][v], 1e-3) << "sequence " << i;
    }
  }
}

// Small submissions cut a step into many command buffers, whose borders are barriers too.
TEST(Vulkan, CutIntoSmallSubmissionsItComputesTheSame) {
  const auto ids = ids_of(kModel);
  const auto whole = logprobs_of(vulkan_config(kModel), ids);
  Config config = vulkan_config(kModel);
  set_option(config, "submit-mflop", "1");
  EXPECT_EQ(logprobs_of(config, ids), whole);
}

// K10: what a device may lack it must be able to lack.
TEST(Vulkan, EveryOptionalFeatureMayBeMissing) {
  const auto ids = ids_of(kModel);
  const auto whole = logprobs_of(vulkan_config(kModel), ids);
  for (const char* feature :
       {"subgroup-shuffle", "size-control", "memory-budget", "float16", "16bit-storage"}) {
    Config config = vulkan_config(kModel);
    set_list(config, "mask-features", feature);
    EXPECT_LT(furthest(logprobs_of(config, ids), whole), 1e-4) << feature;
  }
}

struct Switched {
  const char *tuning, *float16, *masked;
  bool halves;  // some product is computed on f16
};

// Of more tokens than those from which x is made f16 too.
std::vector<double> switched_logprobs(const Switched& choice) {
  Config config = vulkan_config(kModel);
  config.context.length = 600;
  set_option(config, "tuning", choice.tuning);
  set_option(config, "float16", choice.float16);
  if (choice.masked) set_list(config, "mask-features", choice.masked);
  return logprobs_of(config, long_text());
}

TEST(Vulkan, Float16IsTakenWhereOptionAndDeviceAllowIt) {
  const Switched choices[] = {
      {"gpu", "never", nullptr, false},         {"gpu", "auto", nullptr, true},
      {"gpu", "always", nullptr, true},         {"processor", "auto", nullptr, false},
      {"processor", "always", nullptr, true},   {"gpu", "always", "float16", false},
      {"gpu", "always", "16bit-storage", false}};
  const std::vector<double> on_gpu = switched_logprobs(choices[0]);
  const std::vector<double> on_processor =
      switched_logprobs({"processor", "never", nullptr, false});
  for (const Switched& choice : choices) {
    SCOPED_TRACE(std::string(choice.tuning) + " " + choice.float16);
    const std::vector<double> found = switched_logprobs(choice);
    const bool gpu = std::string(choice.tuning) == "gpu";
    EXPECT_EQ(found != (gpu ? on_gpu : on_processor), choice.halves);
    EXPECT_LT(furthest(found, on_gpu), 5e-3);
  }
}

}  // namespace
}  // namespace ropewalk::test
