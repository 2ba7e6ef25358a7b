// Whole models on every backend: each checkpoint of tests/fixtures/models against transformers'
// answers (tests/fixtures/README.md), and what the cache, other sequences in the step and options
// must not change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "tests/end_to_end/backends.h"

namespace ropewalk::test {
namespace {

std::vector<std::string> variants() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(models_folder()))
    if (entry.is_directory()) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(ModelFixtures, AreAtLeastAsManyAsPromised) { EXPECT_GE(variants().size(), 24u); }

// As a device finds the largest logit, or from the logits where it does not.
std::vector<int32_t> greedy(Runtime& runtime, const std::vector<int32_t>& prompt, size_t count) {
  Sequence sequence(runtime.cache());
  std::vector<int32_t> ids = prompt, fresh = prompt;
  while (ids.size() < prompt.size() + count) {
    const Chunk chunk{&sequence,
                      fresh,
                      Wanted::largest,
                      static_cast<uint32_t>(ids.size()),
                      {runtime.executor().vocab_size()}};
    const ChunkResult& result = runtime.executor().run({&chunk, 1}).front();
    const std::span<const float> logits = result.value();
    const auto best = std::ranges::max_element(logits) - logits.begin();
    fresh = {result.largest.value_or(static_cast<int32_t>(best))};
    ids.push_back(fresh[0]);
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(prompt.size()), ids.end()};
}

// A GPU may be missing, and the skip says so. The CPU, lavapipe and the emulator may not.
void skip_without_gpu(const TestBackend& backend) {
  if (backend.name != "cuda") return;
  const std::string reason = why_missing(backend);
  if (!reason.empty()) GTEST_SKIP() << reason;
}

class Fixtures : public testing::TestWithParam<std::tuple<TestBackend, std::string>> {
 protected:
  void SetUp() override { skip_without_gpu(std::get<0>(GetParam())); }
};

// What rounding x costs other families than Llama. On tensor cores, and on Vulkan's matrices, 24
// tokens are off by 0.010 to 0.028: dense weights in bf16 meet x in bf16, 8 bits of it; Granite's
// logits are larger: x in f16 moves them by 0.021, x in two planes of int8 by 0.0025. In f32 all
// agree to 1e-3.
double tolerance_of(const TestBackend& backend, const std::string& variant) {
  const bool is_llama = std::ranges::any_of(
      std::initializer_list<const char*>{"config-", "dense-", "gptq-", "rope-", "llama3-"},
      [&](const char* prefix) { return variant.starts_with(prefix); });
  if (is_llama) return backend.transformers;
  if (backend.name == "vulkan_gpu_dot") return 3e-3;
  const bool by_matrices = backend.backend == "cuda" || backend.backend == "emulated" ||
                           backend.name == "vulkan_gpu_matrix";
  return by_matrices ? 3e-2 : backend.transformers;
}

// The greedy ids are equal, because the two best logits are always more than 0.02 apart.
TEST_P(Fixtures, AgreeWithTransformers) {
  const auto& [backend, variant] = GetParam();
  const Json expected = expected_of(variant);
  const std::vector<int32_t> ids = ids_of(variant);
  FixtureModel model(variant, fixture_settings(config_of(backend, variant)));
  const Score result = score(model.runtime, ids, nullptr);
  ASSERT_EQ(result.logprobs.size(), ids.size() - 1);
  for (size_t i = 1; i < ids.size(); ++i)
    EXPECT_NEAR(result.logprobs[i - 1], expected["logprobs"][i].get<double>(),
                tolerance_of(backend, variant))
        << "token " << i;
  const auto want = expected["greedy"].get<std::vector<int32_t>>();
  EXPECT_EQ(greedy(model.runtime, ids, want.size()), want);
}

INSTANTIATE_TEST_SUITE_P(Models, Fixtures,
                         testing::Combine(testing::ValuesIn(test_backends()),
                                          testing::ValuesIn(variants())),
                         [](const auto& test) {
                           std::string name =
                               std::get<0>(test.param).name + "_" + std::get<1>(test.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class Backend : public testing::TestWithParam<TestBackend> {
 protected:
  void SetUp() override { skip_without_gpu(GetParam()); }
};

TEST_P(Backend, TheSameRunGivesTheSameBits) {
  FixtureModel model(kActOrderFixture, fixture_settings(config_of(GetParam(), kActOrderFixture)));
  const std::vector<int32_t> ids = ids_of(kActOrderFixture);
  const auto first = score(model.runtime, ids, nullptr).logprobs;
  for (int run = 0; run < 5; ++run) EXPECT_EQ(score(model.runtime, ids, nullptr).logprobs, first);
}

// Eight prompts of different lengths. In the last step the first sequence has one token left, the
// second two, and so on.
TEST_P(Backend, SequencesInOneStepDoNotMix) {
  RuntimeSettings settings = fixture_settings(config_of(GetParam(), kActOrderFixture));
  settings.max_sequences = 8;
  settings.config.context.length = 600;  // steps wide enough for all eight prompts at once
  FixtureModel model(kActOrderFixture, settings);
  const std::vector<int32_t> ids = ids_of(kActOrderFixture);
  std::vector<std::vector<float>> alone;
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Chunk> heads, tails;
  for (size_t i = 0; i < 8; ++i) {
    const std::span<const int32_t> prompt = std::span(ids).subspan(i);
    const auto length = static_cast<uint32_t>(prompt.size());
    Sequence sequence(model.runtime.cache());
    const Chunk whole{&sequence, prompt, Wanted::last, length};
    const auto logits = model.runtime.executor().run_one(whole);
    alone.emplace_back(logits.begin(), logits.end());
    sequences.push_back(std::make_unique<Sequence>(model.runtime.cache()));
    heads.push_back({sequences[i].get(), prompt.first(length - i - 1), Wanted::none, length});
    tails.push_back({sequences[i].get(), prompt.last(i + 1), Wanted::last, length});
  }
  model.runtime.executor().run(heads);
  const auto results = model.runtime.executor().run(tails);
  for (size_t i = 0; i < tails.size(); ++i)
    EXPECT_THAT(
        results[i].value(),
        testing::Pointwise(testing::FloatNear(static_cast<float>(GetParam().batch)), alone[i]))
        << "sequence " << i;
}

// On the CPU, and elsewhere with the option batch-invariant, a row's logits have the same bits in
// whatever steps it and the keys before it were computed: a text whole and in pieces, its last
// tokens one by one as a reply's are, alone and beside others.
TEST_P(Backend, ABatchInvariantRowDoesNotDependOnItsStep) {
  RuntimeSettings settings = fixture_settings(config_of(GetParam(), kActOrderFixture));
  settings.max_sequences = 9;
  settings.config.context.length = 300;
  if (GetParam().backend != "cpu") {
    const FixtureModel plain(kActOrderFixture, settings);
    EXPECT_THAT(plain.runtime.device().batch_dependence(), testing::HasSubstr("batch-invariant"));
    set_option(settings.config, "batch-invariant", "true");
  }
  FixtureModel model(kActOrderFixture, settings);
  EXPECT_EQ(model.runtime.device().batch_dependence(), "");
  constexpr uint32_t kLength = 100, kReply = 2;
  const std::vector<int32_t> text = long_text_of(kActOrderFixture);
  // The last logits of the text's first tokens. `others` sequences have a token in each step.
  const auto run = [&](uint32_t piece, uint32_t reply, uint32_t others) {
    std::vector<std::unique_ptr<Sequence>> sequences;
    for (uint32_t i = 0; i <= others; ++i)
      sequences.push_back(std::make_unique<Sequence>(model.runtime.cache()));
    std::vector<float> last;
    for (uint32_t done = 0; done < kLength;) {
      const uint32_t prompt = kLength - reply;
      const uint32_t count = done < prompt ? std::min(piece, prompt - done) : 1;
      std::vector<Chunk> chunks;
      for (uint32_t i = 0; i <= others; ++i)
        chunks.push_back({sequences[i].get(),
                          std::span(text).subspan(i == 0 ? done : i, i == 0 ? count : 1),
                          Wanted::last, kLength});
      const auto logits = model.runtime.executor().run(chunks)[0].value();
      last.assign(logits.begin(), logits.end());
      done += count;
    }
    return last;
  };
  const std::vector<float> whole = run(kLength, 0, 0);
  EXPECT_EQ(run(33, kReply, 1), whole);
  EXPECT_EQ(run(kLength, kReply, 8), whole);
}

TEST_P(Backend, AgreesWithTheCpuOverSeveralPagesWithEveryCache) {
  if (GetParam().backend == "cpu")
    GTEST_SKIP() << "the CPU backend is the reference for the others";
  for (const KvCacheType cache : GetParam().caches) {
    Config config = config_of(GetParam(), kActOrderFixture);
    config.context.length = 600;
    config.context.kv_cache = cache;
    Config cpu = config;
    cpu.backend = {};
    cpu.backend.plugin.name = "cpu";
    const std::vector<int32_t> text = long_text_of(kActOrderFixture);
    EXPECT_LT(max_difference(logprobs_of(kActOrderFixture, config, text),
                             logprobs_of(kActOrderFixture, cpu, text)),
              cache == KvCacheType::int8 ? GetParam().cpu_int8 : GetParam().cpu);
  }
}

// Options that decide how a step runs and must not change a bit of what it computes. Small
// submissions cut a step into many command buffers, whose ends are barriers too. Without `capture`
// the kernels are launched one by one, not replayed.
struct Switch {
  const char *backend, *option, *value;
};
constexpr Switch kSwitches[] = {
    {"cpu", "threads", "1"},
    {"vulkan", "submit-mflop", "1"},
    {"cuda", "capture", "false"},
    {"emulated", "capture", "false"},
};

TEST_P(Backend, SwitchesChangeNothing) {
  const std::vector<int32_t> ids = ids_of(kActOrderFixture);
  const Config config = config_of(GetParam(), kActOrderFixture);
  const std::vector<double> plain = logprobs_of(kActOrderFixture, config, ids);
  for (const Switch& change : kSwitches) {
    if (GetParam().backend != change.backend) continue;
    Config changed = config;
    set_option(changed, change.option, change.value);
    EXPECT_EQ(logprobs_of(kActOrderFixture, changed, ids), plain) << change.option;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Backend, testing::ValuesIn(test_backends()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace ropewalk::test
