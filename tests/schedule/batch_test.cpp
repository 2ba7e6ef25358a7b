#include "core/schedule/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/schedule/expect_same.h"

namespace ropewalk::test {
namespace {

using namespace std::chrono_literals;

TEST(Batch, ARequestAloneSaysWhatTheLawSays) {
  Rig rig(tiny(), 16, settings());
  const Request asked = request(prompt(100, 1), 40, 9);
  const size_t a = rig.add(asked);
  rig.run();
  expect_same(rig.heard[a], alone(asked, rig.cache.capacity()));
  EXPECT_EQ(rig.heard[a].end->prompt_tokens, 100u);
  EXPECT_EQ(rig.heard[a].end->new_tokens, rig.heard[a].ids.size());
  EXPECT_EQ(rig.checked(), "");
}

TEST(Batch, RequestsJoinAndLeaveBetweenSteps) {
  Rig rig(tiny(), 64, settings());
  std::vector<Request> asked;
  for (uint32_t i = 0; i < 12; ++i) {  // more than run at a time
    asked.push_back(request(prompt(5 + 23 * i, i), 4 + i * 3, i));
    rig.add(asked.back());
    rig.step();
    rig.step();
  }
  EXPECT_GT(rig.batch.metrics().running, 1u);
  rig.run();
  for (size_t i = 0; i < asked.size(); ++i) expect_same(rig.heard[i], alone(asked[i], 4096));
  EXPECT_EQ(rig.checked(), "");
}

// Greedy replies alone read no logits where the device finds the largest. A row that is not finite
// ends its own request, with the same words.
TEST(Batch, GreedyRepliesAreTheSameWhereTheDeviceFindsTheLargest) {
  std::vector<Request> asked;
  for (uint32_t i = 0; i < 4; ++i) {
    asked.push_back(request(prompt(20 + 9 * i, i), 12, i));
    if (i < 3) asked.back().sampling = {};
  }
  constexpr int32_t kPoison = 60;
  asked[2].prompt_ids.back() = kPoison;
  std::vector<std::string> errors;
  for (const bool finds : {false, true}) {
    SCOPED_TRACE(finds);
    TinyModel model({64, 16, 8, 16});
    model.device.finds_largest = finds;
    Rig rig(model, 64, settings());
    rig.add(asked[0]);
    rig.add(asked[1]);
    rig.run();
    EXPECT_EQ(model.device.logits_read == 0, finds);
    rig.poison = kPoison;
    rig.add(asked[2]);
    rig.add(asked[3]);
    rig.run();
    for (const size_t i : {0, 1, 3}) expect_same(rig.heard[i], alone(asked[i], 4096));
    EXPECT_EQ(rig.heard[2].end->finish, Finish::failed);
    errors.emplace_back(rig.heard[2].end->error.value().what());
    EXPECT_EQ(rig.checked(), "");
  }
  EXPECT_THAT(errors[0], testing::HasSubstr("found nan for token 5 at position 37"));
  EXPECT_THAT(errors[1], testing::HasSubstr("found nan for token 5 at position 37"));
}

// Every running reply has a token from each step, whoever's prompt is going in.
TEST(Batch, APromptDelaysNoReply) {
  Rig rig(tiny(), 64, settings());
  const size_t a = rig.add(long_request(4, 100));
  rig.step();
  const size_t before = rig.heard[a].ids.size();
  rig.add(request(prompt(1000, 2), 5, 1));
  for (size_t i = 1; i <= 40; ++i) {
    rig.step();
    EXPECT_EQ(rig.heard[a].ids.size(), before + i);
  }
}

// Of 64 rows, the reply's own included; what is left of the prompt goes last.
TEST(Batch, APromptTakesItsShareOfTheRowsBesideAReply) {
  const auto rows_of_steps = [](double share) {
    ScheduleSettings shared = settings();
    shared.max_rows = 64;
    shared.prefill_share = share;
    Rig rig(tiny(), 64, shared);
    rig.add(long_request(4, 100));
    rig.step();
    rig.add(request(prompt(250, 2), 1, 1));
    std::vector<size_t> rows;
    while (rig.heard[1].ids.empty()) {
      rig.step();
      rows.push_back(rig.device.steps.back().token.size());
    }
    return rows;
  };
  const auto steps = [](size_t count, size_t rows, size_t last) {
    std::vector<size_t> all(count, rows);
    all.push_back(last);
    return all;
  };
  EXPECT_EQ(rows_of_steps(1), steps(3, 64, 1 + 250 - 3 * 63));
  EXPECT_EQ(rows_of_steps(0.5), steps(8, 32, 1 + 250 - 8 * 31));
  EXPECT_EQ(rows_of_steps(0.25), steps(16, 16, 1 + 250 - 16 * 15));
}

// --- Order

TEST(Batch, PrioritiesGoFirstAndAgeCounts) {
  ScheduleSettings one = settings();
  one.max_running = 1;
  one.age_time = 10s;
  one.queue_time = 1000s;
  const auto order = [&](Seconds wait) {
    Rig rig(tiny(), 16, one);
    const size_t low = rig.add(request(prompt(10, 1), 3, 1), {.priority = 0});
    rig.now += std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait);
    const size_t high = rig.add(request(prompt(10, 2), 3, 1), {.priority = 2});
    rig.step();
    return std::pair(rig.heard[low].ids.empty(), rig.heard[high].ids.empty());
  };
  EXPECT_EQ(order(5s), std::pair(true, false));
  EXPECT_EQ(order(20s), std::pair(false, true));
}

// The account with one request passes the one with many.
TEST(Batch, AccountsTakeTurns) {
  ScheduleSettings one = settings();
  one.max_running = 1;
  Rig rig(tiny(), 16, one);
  for (uint32_t i = 0; i < 4; ++i) rig.add(request(prompt(50, i), 3, i), {.account = 1});
  rig.step();
  const size_t other = rig.add(request(prompt(50, 9), 3, 1), {.account = 2});
  rig.run();
  size_t passed = 0;
  for (size_t i = 1; i < 4; ++i) passed += rig.ended[other] < rig.ended[i];
  EXPECT_EQ(passed, 3u);
}

// --- Log-probabilities

TEST(Batch, LogprobsAreThoseOfTheRows) {
  Rig rig(tiny(), 16, settings());
  Request asked = long_request(40, 10);
  asked.logprobs = {.top = 3};
  rig.add(asked);
  rig.run();
  expect_same(rig.heard[0], alone(asked, 4096));
  EXPECT_EQ(rig.heard[0].tops[0].size(), 3u);
}

TEST(Batch, APromptIsScoredInCompany) {
  Rig rig(tiny(), 8, settings());
  Request scored = long_request(300, 20);
  scored.logprobs = {.top = 1, .prompt = true};
  rig.add(scored);  // known afterwards, and not used
  rig.run();
  rig.add(long_request(400, 200));
  rig.step();
  rig.add(scored);
  rig.step();
  EXPECT_EQ(rig.batch.metrics().running, 2u);
  rig.run();
  expect_same(rig.heard[0], alone(scored, 4096));
  expect_same(rig.heard[2], alone(scored, 4096));
  EXPECT_EQ(rig.heard[2].end->cached_tokens, 0u);
}

TEST(Batch, APromptAloneIsScored) {
  Rig rig(tiny(), 16, settings());
  Request asked = request(prompt(50, 1), 0, 1);
  asked.logprobs = {.prompt = true};
  rig.add(asked);
  rig.run();
  EXPECT_EQ(rig.heard[0].prompt_logprobs.size(), 50u);
  expect_same(rig.heard[0], alone(asked, 4096));
}

// --- Counters

TEST(Batch, CountsWhatItDoes) {
  Rig rig(tiny(), 16, settings());
  rig.add(long_request(40, 30));
  rig.now += 1s;
  rig.step();
  rig.now += 1s;
  rig.run();
  const Metrics& metrics = rig.batch.metrics();
  EXPECT_EQ(metrics.prompt_tokens, 40u);
  EXPECT_EQ(metrics.generation_tokens, 30u);
  EXPECT_EQ(metrics.steps, 30u);
  EXPECT_EQ(metrics.step_tokens.sum, 40.0 + 29);
  EXPECT_EQ(metrics.finished[static_cast<size_t>(Finish::length)], 1u);
  EXPECT_EQ(metrics.queue_seconds.sum, 1.0);
  EXPECT_EQ(metrics.first_token_seconds.sum, 1.0);
  EXPECT_EQ(metrics.inter_token_seconds.count, 29u);
  EXPECT_EQ(metrics.inter_token_seconds.sum, 1.0);
  EXPECT_EQ(metrics.e2e_seconds.sum, 2.0);
  EXPECT_EQ(metrics.pages, 16u);
  EXPECT_EQ(metrics.page_tokens, kPage);
}

TEST(Histogram, CountsByUpperBound) {
  constexpr double kBounds[] = {1, 2};
  Histogram histogram(kBounds);
  for (const double value : {0.5, 1.0, 1.5, 3.0}) histogram.add(value);
  EXPECT_EQ(histogram.counts, (std::vector<uint64_t>{2, 1, 1}));
  EXPECT_EQ(histogram.sum, 6.0);
  EXPECT_EQ(histogram.count, 4u);
}

// An account that has all that it may have waits, and lets others pass.
TEST(Batch, AnAccountRunsNoMoreThanItMay) {
  Rig rig(tiny(), 64, settings());
  const Terms ann{.account = 1, .account_running = 2}, bob{.account = 2};
  for (uint32_t i = 0; i < 4; ++i) rig.add(request(prompt(10, i), 20, i), ann);
  rig.add(request(prompt(10, 9), 20, 9), bob);
  rig.step();
  EXPECT_EQ(rig.batch.metrics().running, 3u);
  EXPECT_EQ(rig.batch.metrics().waiting, 2u);
  EXPECT_EQ(rig.heard[4].ids.size(), 1u);
  EXPECT_EQ(rig.heard[2].ids.size(), 0u);
  rig.run();
  for (const Heard& heard : rig.heard) EXPECT_TRUE(heard.end.has_value());
}

// A long step is seen while it runs, and what a client has read is counted already.
TEST(Batch, MetricsAreOfNow) {
  Rig rig(tiny(), 16, settings());
  uint32_t running_in_step = 0;
  const auto write = rig.device.on_step;
  rig.device.on_step = [&](const SeenStep& step) {
    write(step);
    running_in_step = rig.batch.metrics().running;
  };
  rig.add(request(prompt(10, 1), 5, 1));
  EXPECT_EQ(rig.batch.metrics().waiting, 1u);
  uint64_t counted = 0;
  rig.tickets[0]->watch([&] { counted = rig.batch.metrics().generation_tokens; });
  rig.batch.step();
  EXPECT_EQ(running_in_step, 1u);
  EXPECT_EQ(counted, 1u);
}

}  // namespace
}  // namespace ropewalk::test
