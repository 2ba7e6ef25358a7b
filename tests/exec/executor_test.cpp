#include "core/exec/executor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "core/base/error.h"
#include "core/model/decoder.h"
#include "core/model/synthetic.h"
#include "tests/exec/rig.h"

namespace ropewalk::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Buckets, TheNarrowestThatHoldsTheRows) {
  EXPECT_EQ(bucket_for(0), 1u);
  EXPECT_EQ(bucket_for(1), 1u);
  EXPECT_EQ(bucket_for(3), 4u);
  EXPECT_EQ(bucket_for(33), 64u);
  EXPECT_EQ(bucket_for(512), 512u);
  EXPECT_EQ(bucket_for(1025), 2048u);
}

// Every step of every size finds a shape that holds it among the few that are planned for.
TEST(Buckets, FewShapesHoldEveryStep) {
  const auto key = [](const abi::ProgramShape& s) {
    return std::tuple(s.rows, s.wanted, s.sequences, s.pages_per_sequence);
  };
  for (const uint32_t rows : {1u, 2u, 16u, 48u, 512u, 2048u})
    for (const uint32_t wanted : {1u, 2u, 8u, 48u, 64u, 512u})
      for (const uint32_t sequences : {1u, 8u, 64u}) {
        if (wanted > rows || (rows > 512 && wanted > 48)) continue;
        const abi::ProgramShape widest{rows, wanted, sequences, 4};
        std::set<decltype(key(widest))> planned;
        for (const abi::ProgramShape& shape : shapes_within(widest)) planned.insert(key(shape));
        EXPECT_EQ(planned.size(), shapes_within(widest).size());
        EXPECT_LE(planned.size(), wanted == 1 ? 12u : 31u);
        for (uint32_t r = 1; r <= rows; ++r)
          for (uint32_t w = 0; w <= std::min(r, wanted); ++w) {
            const abi::ProgramShape shape = shape_for(r, w, widest);
            ASSERT_TRUE(planned.contains(key(shape))) << r << " rows, " << w << " wanted";
            ASSERT_TRUE(shape.rows >= r && shape.wanted >= w && shape.sequences == sequences);
          }
      }
}

// A reply alone and a batch of replies compute only the wanted rows of logits.
TEST(Buckets, WantedRowsAreThoseOfADecode) {
  const abi::ProgramShape widest{512, 64, 64, 4};
  EXPECT_EQ(shape_for(512, 0, widest).wanted, 1u);
  for (const uint32_t batch : {1u, 2u, 4u, 8u, 16u, 64u})
    EXPECT_EQ(shape_for(batch, batch, widest).wanted, batch);
  EXPECT_EQ(shape_for(512, 5, widest).wanted, 8u);
  EXPECT_EQ(shape_for(512, 9, widest).wanted, 64u);
}

// Rows of prompts come first in the step; pages, tables and results still belong to their chunks.
TEST(Executor, GathersChunksOfSeveralSequencesIntoOneStep) {
  Rig rig(false);
  rig.device.logit_of = [](int32_t token, uint32_t) { return static_cast<float>(token); };
  Sequence a(rig.cache), b(rig.cache), c(rig.cache);
  const std::vector<int32_t> prompt = {5, 6, 7}, next = {9}, other = {8};
  rig.executor.run_one({&a, prompt, Wanted::last, 3});
  EXPECT_EQ(rig.device.steps.back().prompt_rows, 3u);
  const Chunk mixed[] = {
      {&a, next, Wanted::last, 4}, {&b, prompt, Wanted::all, 3}, {&c, other, Wanted::none, 1}};
  const auto results = rig.executor.run(mixed);

  const SeenStep& step = rig.device.steps.back();
  EXPECT_EQ(step.prompt_rows, 3u);
  EXPECT_THAT(step.token, ElementsAre(5, 6, 7, 9, 8));
  EXPECT_THAT(step.position, ElementsAre(0u, 1u, 2u, 3u, 0u));
  EXPECT_THAT(step.sequence, ElementsAre(0u, 0u, 0u, 1u, 2u));
  EXPECT_THAT(step.length, ElementsAre(3u, 4u, 1u));
  EXPECT_THAT(step.wanted, ElementsAre(0u, 1u, 2u, 3u));
  ASSERT_EQ(step.page.size(), 12u);  // three sequences, four pages each
  EXPECT_EQ(step.page[0], b.pages()[0]);
  EXPECT_EQ(step.page[4], a.pages()[0]);
  EXPECT_EQ(step.page[8], c.pages()[0]);
  ASSERT_EQ(results.size(), 3u);
  ASSERT_EQ(results[0].value().size(), 64u);
  EXPECT_THAT(results[0].value(), Each(9.0f));
  ASSERT_EQ(results[1].value().size(), 3u * 64);
  EXPECT_THAT(results[1].value().first(64), Each(5.0f));
  EXPECT_THAT(results[1].value().last(64), Each(7.0f));
  EXPECT_TRUE(results[2].value().empty());
  EXPECT_EQ(a.length(), 4u);
  EXPECT_EQ(b.length(), 3u);
  EXPECT_EQ(c.length(), 1u);
}

// Adapters that no sequence of a step has cost it nothing: it runs the graph without them.
TEST(Executor, AStepWithoutAdaptersRunsThePlainGraph) {
  Rig rig(false);
  const std::vector<NamedAdapter> adapters = {{"a", make_synthetic_adapter(tiny(), 8, 1)}};
  const AdapterRoom room = room_for(adapters, 1);
  ModelOptions options{
      abi::DType::f32, abi::DType::f16, 8, 1.0, abi::KeyRotation::before_cache, 256};
  ModelGraph plain = build_decoder(*rig.weights, options);
  options.adapters = &room;
  LoadSettings settings = Rig::settings();
  settings.adapted = build_decoder(*rig.weights, options);
  const LoadedModel model(rig.device, *rig.weights, std::move(plain), settings);
  AdapterPool pool(rig.device, model, adapters);
  Executor executor(rig.device, model, rig.rope, Rig::shape());
  executor.use_adapters(pool);
  Sequence without(rig.cache), with(rig.cache);
  with.set_adapter(0);
  const std::vector<int32_t> tokens = {5, 6, 7};
  executor.run_one({&without, tokens, Wanted::last, 3});
  EXPECT_EQ(rig.device.nodes, rig.model.graph().nodes.size());
  executor.run_one({&with, tokens, Wanted::last, 3});
  EXPECT_EQ(rig.device.nodes, rig.model.graph().nodes.size() + 7) << "one for each linear layer";
}

TEST(Executor, WarmUpCompilesEveryProgram) {
  Rig rig(false);
  const WarmUp first = rig.executor.warm_up();
  EXPECT_EQ(first.programs, shapes_within(Rig::shape()).size());
  EXPECT_GE(first.seconds, 0);
  EXPECT_EQ(rig.executor.warm_up().programs, 0u);
  Sequence a(rig.cache);
  rig.executor.run_one({&a, std::vector<int32_t>(300, 1), Wanted::last, 300});
  EXPECT_EQ(rig.device.compiled, first.programs);
}

TEST(Executor, CompilesOneProgramForABucket) {
  Rig rig(false);
  Sequence a(rig.cache);
  const std::vector<int32_t> ids(40, 1);
  const auto run = [&](size_t count) {
    rig.executor.run_one({&a, std::span(ids).first(count), Wanted::last, 0});
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

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// NaN and both infinities: only a sampler may say -infinity.
TEST(Executor, NonFiniteLogitsStopTheRequest) {
  Rig rig(false);
  Sequence a(rig.cache);
  const std::vector<int32_t> ids = {1, 2, 3};
  for (const auto& [bad, name] : {std::pair(std::nanf(""), "nan"), std::pair(kInfinity, "inf"),
                                  std::pair(-kInfinity, "-inf")}) {
    rig.device.logit_of = [bad = bad](int32_t, uint32_t) { return bad; };
    const Error error = error_of([&] { rig.executor.run_one({&a, ids, Wanted::last, 3}); });
    EXPECT_EQ(error.code(), ExitCode::non_finite);
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("logits: found {} for token 0 at position 2 in "
                                                    "step {}, expected a finite number",
                                                    name, rig.executor.steps_run())));
    EXPECT_EQ(a.length(), 0u);
    EXPECT_EQ(rig.cache.free_pages(), 8u);
  }
  // Extreme is not infinite.
  rig.device.logit_of = [](int32_t, uint32_t) { return -std::numeric_limits<float>::max(); };
  rig.executor.run_one({&a, ids, Wanted::last, 3});
  EXPECT_EQ(a.length(), 3u);
}

// The others get the bits that they get without it.
TEST(Executor, ABadRowFailsItsOwnChunkAlone) {
  const std::vector<int32_t> prompt = {1, 2, 3}, other = {20, 13}, next = {7};
  const auto run = [&](int32_t bad_token) {
    Rig rig(false);
    rig.device.logit_of = [&](int32_t token, uint32_t position) {
      if (token == bad_token) return std::nanf("");
      return 0.1f * static_cast<float>(token) + 0.01f * static_cast<float>(position);
    };
    Sequence a(rig.cache), b(rig.cache), c(rig.cache);
    const Chunk chunks[] = {
        {&c, next, Wanted::last, 1}, {&a, prompt, Wanted::last, 3}, {&b, other, Wanted::all, 2}};
    std::vector<std::vector<float>> logits;
    std::string error;
    for (const ChunkResult& result : rig.executor.run(chunks)) {
      logits.emplace_back(result.logits.begin(), result.logits.end());
      if (result.error) error += result.error->what();
    }
    return std::tuple(logits, error, std::vector{c.length(), a.length(), b.length()},
                      rig.cache.free_pages());
  };
  const auto [good, no_error, all_lengths, pages] = run(-1);
  EXPECT_EQ(no_error, "");
  EXPECT_THAT(all_lengths, ElementsAre(1u, 3u, 2u));

  const auto [logits, error, lengths, pages_after] = run(13);
  EXPECT_EQ(logits[0], good[0]);
  EXPECT_EQ(logits[1], good[1]);
  EXPECT_THAT(logits[2], IsEmpty());
  EXPECT_THAT(error, HasSubstr("found nan for token 0 at position 1 in step 1"));
  EXPECT_THAT(lengths, ElementsAre(1u, 3u, 0u));
  EXPECT_EQ(pages_after, pages + 1);
}

// Rows that are not read are not checked: the next step that reads one finds the NaN.
TEST(Executor, RowsThatAreNotWantedAreNotChecked) {
  Rig rig(false);
  rig.device.logit_of = [](int32_t, uint32_t) { return std::nanf(""); };
  Sequence a(rig.cache);
  EXPECT_TRUE(rig.executor.run_one({&a, std::vector<int32_t>{1, 2}, Wanted::none, 2}).empty());
  EXPECT_EQ(a.length(), 2u);
}

// --- A device that finds the largest logits

// Made now, so that it asks the device for the extension.
struct FindingRig : Rig {
  FindingRig() : Rig(false), finding((device.finds_largest = true, device), model, rope, shape()) {
    device.row_of = [](const SeenStep& step, uint32_t row, std::span<float> logits) {
      std::ranges::fill(logits, 1.0f);
      logits[static_cast<size_t>(step.token[row])] = 2;
      logits[60] = 2;  // a tie: the lower id
    };
  }

  Executor finding;
};

constexpr AllowedIds kAll{64};

TEST(LargestLogits, TakeThePlaceOfLogits) {
  FindingRig rig;
  Sequence a(rig.cache);
  const std::vector<int32_t> ids = {1, 2, 7};
  const Chunk chunk{&a, ids, Wanted::largest, 3, kAll};
  const ChunkResult& result = rig.finding.run({&chunk, 1}).front();
  EXPECT_EQ(result.largest, 7);
  EXPECT_THAT(result.value(), IsEmpty());
  EXPECT_EQ(rig.device.logits_read, 0u);
  EXPECT_EQ(a.length(), 3u);
  // Where the device does not find them, there are logits.
  Sequence b(rig.cache);
  const Chunk other{&b, ids, Wanted::largest, 3, kAll};
  const ChunkResult& plain = rig.executor.run({&other, 1}).front();
  EXPECT_EQ(plain.largest, std::nullopt);
  ASSERT_EQ(plain.value().size(), 64u);
  EXPECT_EQ(plain.value()[7], 2);
}

// Padding and banned ids: the logits say which of the others is the largest.
TEST(LargestLogits, AnIdThatIsNotAllowedIsNoAnswer) {
  FindingRig rig;
  const std::vector<int32_t> ids = {7}, banned = {3, 7};
  for (const AllowedIds& allowed : {AllowedIds{7}, AllowedIds{64, banned}, AllowedIds{}}) {
    Sequence a(rig.cache);
    const Chunk chunk{&a, ids, Wanted::largest, 1, allowed};
    const ChunkResult& result = rig.finding.run({&chunk, 1}).front();
    EXPECT_EQ(result.largest, std::nullopt);
    ASSERT_EQ(result.value().size(), 64u);
    EXPECT_EQ(result.value()[60], 2);
  }
  Sequence a(rig.cache);
  const Chunk chunk{&a, ids, Wanted::largest, 1, {8, std::span(banned).first(1)}};
  EXPECT_EQ(rig.finding.run({&chunk, 1}).front().largest, 7);
}

// All from the first to the last that is needed, in one piece: that of the third chunk too.
TEST(LargestLogits, OnlyRowsThatAreNeededAreRead) {
  FindingRig rig;
  Sequence a(rig.cache), b(rig.cache), c(rig.cache), d(rig.cache);
  const std::vector<int32_t> prompt = {4, 5}, one = {8}, two = {9}, three = {10};
  const Chunk chunks[] = {{&a, prompt, Wanted::largest, 2, kAll},
                          {&b, one, Wanted::last, 1},
                          {&c, two, Wanted::largest, 1, kAll},
                          {&d, three, Wanted::largest, 1, AllowedIds{10}}};
  const auto results = rig.finding.run(chunks);
  EXPECT_EQ(rig.device.logits_read, 3u * 64);
  EXPECT_EQ(results[0].largest, 5);
  EXPECT_EQ(results[1].largest, std::nullopt);
  EXPECT_EQ(results[2].largest, 9);
  EXPECT_EQ(results[3].largest, std::nullopt);
  ASSERT_EQ(results[1].value().size(), 64u);
  ASSERT_EQ(results[3].value().size(), 64u);
  EXPECT_EQ(results[1].value()[8], 2);
  EXPECT_EQ(results[1].value()[10], 1);
  EXPECT_EQ(results[3].value()[10], 2);
}

// The same error as where all logits are read, and the same fate of the others.
TEST(LargestLogits, ABadRowFailsItsOwnChunkAlone) {
  const auto run = [](bool finds, Wanted wanted) {
    FindingRig rig;
    rig.device.row_of = [](const SeenStep& step, uint32_t row, std::span<float> logits) {
      std::ranges::fill(logits, 1.0f);
      if (step.token[row] == 13) logits[17] = -kInfinity;
    };
    Sequence a(rig.cache), b(rig.cache);
    const std::vector<int32_t> good = {7}, bad = {20, 13};
    const Chunk chunks[] = {{&a, good, wanted, 1, kAll}, {&b, bad, wanted, 2, kAll}};
    const auto results = (finds ? rig.finding : rig.executor).run(chunks);
    EXPECT_FALSE(results[0].error);
    EXPECT_EQ(results[0].largest.has_value(), finds && wanted == Wanted::largest);
    EXPECT_EQ(a.length(), 1u);
    EXPECT_EQ(b.length(), 0u);
    return std::string(results[1].error.value().what());
  };
  const std::string want = run(false, Wanted::last);
  EXPECT_THAT(want, HasSubstr("found -inf for token 17 at position 1 in step 1"));
  EXPECT_EQ(run(true, Wanted::largest), want);
  EXPECT_EQ(run(true, Wanted::last), want);
}

}  // namespace
}  // namespace ropewalk::test
