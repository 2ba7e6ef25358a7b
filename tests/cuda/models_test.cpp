// Whole models on CUDA: every checkpoint of tests/fixtures/models against transformers' answers,
// and what batches, pages, recording and the type of the cache must not change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/eval/score.h"
#include "tests/cuda/cuda_model.h"

namespace ropewalk::test {
namespace {

constexpr char kModel[] = "gptq-b4-airophin";  // act-order, groups of 32, linear RoPE

// x goes through the tensor cores as f16, 11 bits, and so does the cache: some 5e-4 a value, over
// two layers and the logits.
constexpr double kNear = 1e-2;

class OnCuda : public testing::Test {
 protected:
  void SetUp() override {
    const std::string reason = missing_device(cuda_config(kModel));
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

class CudaModels : public OnCuda, public testing::WithParamInterface<std::string> {};
class Cuda : public OnCuda {};

std::vector<std::string> variants() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(models_folder()))
    if (entry.is_directory()) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_P(CudaModels, AgreesWithTransformers) {
  const Json expected = expected_of(GetParam());
  const auto ids = ids_of(GetParam());
  FixtureModel model(GetParam(), fixture_settings(cuda_config(GetParam())));
  const Score result = score(model.runtime, ids, nullptr);
  ASSERT_EQ(result.logprobs.size(), ids.size() - 1);
  for (size_t i = 1; i < ids.size(); ++i)
    EXPECT_NEAR(result.logprobs[i - 1], expected["logprobs"][i].get<double>(), kNear)
        << "token " << i;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, CudaModels, testing::ValuesIn(variants()),
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

TEST_F(Cuda, AgreesWithTheCpuOverSeveralPagesWithEveryCache) {
  std::vector<int32_t> text;
  while (text.size() < 550)
    for (const int32_t id : ids_of(kModel)) text.push_back(id);
  for (const KvCacheType cache : {KvCacheType::f16, KvCacheType::int8}) {
    Config cuda = cuda_config(kModel);
    cuda.context.length = 600;
    cuda.context.kv_cache = cache;
    Config cpu = cuda;
    cpu.backend = {};
    cpu.backend.plugin.name = "cpu";
    // A code of the int8 cache at a tie may round the other way.
    EXPECT_LT(furthest(logprobs_of(cuda, text), logprobs_of(cpu, text)),
              cache == KvCacheType::int8 ? 3 * kNear : kNear);
  }
}

TEST_F(Cuda, RecordedOrNotItComputesTheSame) {
  const auto ids = ids_of(kModel);
  Config eager = cuda_config(kModel);
  set_option(eager, "capture", "false");
  EXPECT_EQ(logprobs_of(eager, ids), logprobs_of(cuda_config(kModel), ids));
}

TEST_F(Cuda, TheSameRunGivesTheSameBits) {
  FixtureModel model(kModel, fixture_settings(cuda_config(kModel)));
  const auto ids = ids_of(kModel);
  const auto first = score(model.runtime, ids, nullptr).logprobs;
  for (int run = 0; run < 5; ++run) EXPECT_EQ(score(model.runtime, ids, nullptr).logprobs, first);
}

TEST_F(Cuda, SequencesInOneStepDoNotMix) {
  RuntimeSettings settings = fixture_settings(cuda_config(kModel));
  settings.max_sequences = 8;
  FixtureModel model(kModel, settings);
  const auto ids = ids_of(kModel);
  const uint32_t vocab = model.runtime.executor().vocab_size();
  std::vector<std::vector<float>> alone;
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Chunk> together;
  for (size_t i = 0; i < 8; ++i) {
    const std::span<const int32_t> prompt = std::span(ids).subspan(i, 7);
    Sequence sequence(model.runtime.cache());
    const Chunk chunk{&sequence, prompt, Wanted::last, 64};
    const auto logits = model.runtime.executor().run({&chunk, 1});
    alone.emplace_back(logits.begin(), logits.end());
    sequences.push_back(std::make_unique<Sequence>(model.runtime.cache()));
    together.push_back({sequences[i].get(), prompt, Wanted::last, 64});
  }
  const auto logits = model.runtime.executor().run(together);
  for (size_t i = 0; i < together.size(); ++i)
    for (uint32_t v = 0; v < vocab; ++v)
      ASSERT_NEAR(logits[i * vocab + v], alone[i][v], kNear) << "sequence " << i;
}

}  // namespace
}  // namespace ropewalk::test
