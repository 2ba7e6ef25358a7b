#include "core/exec/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "core/model/decoder.h"
#include "core/model/synthetic.h"
#include "tests/exec/fake_device.h"

namespace ropewalk::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

ModelConfig tiny() {
  ModelConfig config;
  config.vocab_size = 64;
  config.hidden_size = 32;
  config.intermediate_size = 32;
  config.layers = 1;
  config.heads = config.kv_heads = 1;
  config.head_dim = 32;
  config.max_position = 1024;
  config.rms_norm_eps = 1e-5;
  return config;
}

// A tiny model on the fake device, four pages a sequence.
struct Rig {
  explicit Rig(bool rope_varies)
      : weights(make_synthetic(tiny(), std::nullopt, 1)),
        policy(rope_varies),
        rope(policy, {32, 10000.0, 1024, 0, 1024}, RopeMode::hf_compat),
        model(device, *weights,
              build_decoder(*weights, {abi::DType::f32, abi::DType::f16, 8, 1.0,
                                       abi::KeyRotation::before_cache}),
              settings()),
        cache(8, 1024),
        executor(device, model, rope, shape()) {}

  static abi::ProgramShape shape() { return {512, 4, 4, 4}; }
  static LoadSettings settings() {
    LoadSettings settings;
    settings.programs = shapes_within(shape());
    settings.device_name = "fake";
    return settings;
  }

  FakeDevice device;
  std::unique_ptr<WeightSource> weights;
  LengthPolicy policy;
  RopeTables rope;
  LoadedModel model;
  KvCache cache;
  Executor executor;
};

TEST(Buckets, TheNarrowestThatHoldsTheRows) {
  EXPECT_EQ(bucket_for(0), 1u);
  EXPECT_EQ(bucket_for(1), 1u);
  EXPECT_EQ(bucket_for(3), 4u);
  EXPECT_EQ(bucket_for(33), 64u);
  EXPECT_EQ(bucket_for(512), 512u);
}

TEST(Executor, GathersChunksOfSeveralSequencesIntoOneStep) {
  Rig rig(false);
  Sequence a(rig.cache), b(rig.cache);
  const std::vector<int32_t> prompt = {5, 6, 7}, next = {9};
  const Chunk first[] = {{&a, prompt, Wanted::last, 3}};
  rig.executor.run(first);
  const Chunk mixed[] = {{&a, next, Wanted::last, 4}, {&b, prompt, Wanted::all, 3}};
  const auto logits = rig.executor.run(mixed);

  const SeenStep& step = rig.device.steps.back();
  EXPECT_THAT(step.token, ElementsAre(9, 5, 6, 7));
  EXPECT_THAT(step.position, ElementsAre(3u, 0u, 1u, 2u));
  EXPECT_THAT(step.sequence, ElementsAre(0u, 1u, 1u, 1u));
  EXPECT_THAT(step.length, ElementsAre(4u, 3u));
  EXPECT_THAT(step.wanted, ElementsAre(0u, 1u, 2u, 3u));
  ASSERT_EQ(step.page.size(), 8u);  // two sequences, four pages each
  EXPECT_EQ(step.page[0], a.pages()[0]);
  EXPECT_EQ(step.page[4], b.pages()[0]);
  EXPECT_EQ(logits.size(), 4u * 64);
  EXPECT_EQ(a.length(), 4u);
  EXPECT_EQ(b.length(), 3u);
}

TEST(Executor, CompilesOneProgramForABucket) {
  Rig rig(false);
  Sequence a(rig.cache);
  const std::vector<int32_t> ids(40, 1);
  const auto run = [&](size_t count) {
    const Chunk chunk{&a, std::span(ids).first(count), Wanted::last, 0};
    rig.executor.run({&chunk, 1});
    return rig.device.compiled;
  };
  EXPECT_EQ(run(1), 1u);
  EXPECT_EQ(run(1), 1u);
  EXPECT_EQ(run(20), 2u);
  EXPECT_EQ(run(31), 2u);  // 32 rows, as the 20 had
  EXPECT_EQ(rig.device.steps.back().shape.rows, 32u);
}

TEST(Executor, AVaryingTableIsThatOfTheWholePrompt) {
  Rig rig(true);
  Sequence a(rig.cache), b(rig.cache);
  const std::vector<int32_t> ids = {1, 2};
  const Chunk chunks[] = {{&a, ids, Wanted::none, 100}, {&b, ids, Wanted::none, 2}};
  rig.executor.run(chunks);
  const auto& table = rig.device.steps.back().inv_freq;
  ASSERT_EQ(table.size(), 32u);  // two sequences, head_dim / 2 each
  EXPECT_THAT(std::vector(table.begin(), table.begin() + 16), Each(100.0f));
  EXPECT_THAT(std::vector(table.begin() + 16, table.end()), Each(2.0f));
}

template <class Run>
Error error_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error;
  }
  return Error(ExitCode::ok, "", "nothing was thrown", "");
}

TEST(Executor, ALostDeviceLeavesTheSequenceAsItWas) {
  Rig rig(false);
  Sequence a(rig.cache);
  const std::vector<int32_t> ids(300, 1);
  const Chunk chunk{&a, ids, Wanted::last, 300};
  rig.device.on_wait = abi::fail(abi::StatusCode::device_lost, "the fake is gone");
  const Error error = error_of([&] { rig.executor.run({&chunk, 1}); });
  EXPECT_EQ(error.code(), ExitCode::device_lost);
  EXPECT_THAT(error.what(), HasSubstr("the fake is gone"));
  EXPECT_EQ(a.length(), 0u);
  EXPECT_EQ(rig.cache.free_pages(), 8u);
}

TEST(Executor, NonFiniteLogitsStopTheRequest) {
  Rig rig(false);
  Sequence a(rig.cache);
  const std::vector<int32_t> ids = {1, 2, 3};
  const Chunk chunk{&a, ids, Wanted::last, 3};
  rig.device.logit = std::nanf("");
  const Error error = error_of([&] { rig.executor.run({&chunk, 1}); });
  EXPECT_EQ(error.code(), ExitCode::non_finite);
  EXPECT_THAT(error.what(), HasSubstr("found nan for token 0 at position 2 in step 1"));
  EXPECT_EQ(a.length(), 0u);
}

}  // namespace
}  // namespace ropewalk::test
