#include "core/schedule/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Views = std::vector<PlanView>;

constexpr PlanBudget kBudget{.rows = 64, .wanted = 8, .prefill_share = 0.5};

std::vector<uint32_t> plan(const Views& views) { return plan_step(views, kBudget); }

TEST(Plan, NothingToDoIsAnEmptyPlan) { EXPECT_THAT(plan({}), IsEmpty()); }

TEST(Plan, APromptAloneTakesTheWholeStep) {
  EXPECT_THAT(plan({{100}}), ElementsAre(64u));
  EXPECT_THAT(plan({{10}}), ElementsAre(10u));
}

TEST(Plan, EveryReplyHasItsRow) { EXPECT_THAT(plan({{1}, {1}, {1}}), ElementsAre(1u, 1u, 1u)); }

// Replies and prompts together have half of the rows, which is a narrower program.
TEST(Plan, RepliesAreNotDelayedByAWholeStepOfAPrompt) {
  EXPECT_THAT(plan({{1}, {1000}}), ElementsAre(1u, 31u));
  EXPECT_THAT(plan({{1000}, {1}, {1}}), ElementsAre(30u, 1u, 1u));
}

TEST(Plan, AStepFullOfRepliesLeavesPromptsAnEighth) {
  Views views(16, PlanView{1});
  views.push_back({100});
  EXPECT_EQ(plan_step(views, {32, 32, 0.25}).back(), 4u);
  EXPECT_THAT(plan_step(Views{{1}, {1}, {1}, {100}}, {4, 4, 0.5}), ElementsAre(1u, 1u, 1u, 1u));
}

// A model of billions of parameters on a CPU has steps of 8 rows.
TEST(Plan, ANarrowStepIsFilled) {
  EXPECT_THAT(plan_step(Views{{1}, {1}, {1}, {1}, {100}}, {8, 8, 0.5}),
              ElementsAre(1u, 1u, 1u, 1u, 4u));
  EXPECT_THAT(plan_step(Views{{1}, {100}}, {16, 8, 0.25}), ElementsAre(1u, 15u));
}

TEST(Plan, TheShortestRestGoesFirstAndTheOldestHasAQuarter) {
  EXPECT_THAT(plan({{1000}, {30}, {20}}), ElementsAre(16u, 28u, 20u));
  EXPECT_THAT(plan({{1000}, {10}}), ElementsAre(54u, 10u));  // what is left is the oldest one's
}

TEST(Plan, ManyShortPromptsGoInTogether) {
  EXPECT_THAT(plan({{1000}, {9}, {8}, {7}, {6}}), ElementsAre(34u, 9u, 8u, 7u, 6u));
  EXPECT_THAT(plan({{20}, {20}, {20}, {20}}), ElementsAre(16u, 20u, 20u, 8u));
}

TEST(Plan, OneThatRestsGetsNothing) {
  EXPECT_THAT(plan({{1, false, true}, {100, false, true}, {1}, {50}}),
              ElementsAre(0u, 0u, 1u, 31u));
}

// All rows of a scored prompt are wanted; the others keep one each.
TEST(Plan, AScoredPromptTakesWhatWantedRowsAreLeft) {
  EXPECT_THAT(plan({{100, true}}), ElementsAre(8u));
  EXPECT_THAT(plan({{1}, {1}, {100, true}}), ElementsAre(1u, 1u, 6u));
  EXPECT_THAT(plan({{100, true}, {20, true}}), ElementsAre(8u - 1, 1u));
  EXPECT_THAT(plan({{100, true}, {20}}), ElementsAre(7u, 20u));
}

// Whatever there is: within the budget, every reply served, the oldest prompt never without a row.
TEST(Plan, HoldsItsPromisesForRandomRequests) {
  std::mt19937 random(3);
  const auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 20000; ++round) {
    const uint32_t rows = 1u << pick(10);
    const uint32_t wanted = 1 + pick(rows);
    Views views(pick(std::min(wanted, 40u) + 1));
    for (PlanView& view : views) view = {pick(2) ? 1 : 1 + pick(2000), pick(5) == 0, pick(7) == 0};
    const double share = pick(11) / 10.0;
    const auto got = plan_step(views, {rows, wanted, share});
    ASSERT_EQ(got.size(), views.size());
    uint32_t all = 0, read = 0;
    bool oldest = true;
    for (size_t i = 0; i < views.size(); ++i) {
      all += got[i];
      ASSERT_LE(got[i], views[i].rests ? 0 : views[i].pending);
      if (views[i].scores)
        read += got[i];
      else if (got[i] == views[i].pending)
        ++read;
      if (views[i].rests) continue;
      const bool served = views[i].pending == 1 || std::exchange(oldest, false);
      ASSERT_TRUE(!served || got[i] >= 1);
    }
    ASSERT_LE(all, rows);
    ASSERT_LE(read, wanted);
  }
}

}  // namespace
}  // namespace ropewalk::test
