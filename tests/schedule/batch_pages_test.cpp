// Pages: found as prefixes, shared, taken away and computed again.
#include "core/schedule/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/schedule/expect_same.h"

namespace ropewalk::test {
namespace {

// --- Prefixes

TEST(Batch, AnEqualPromptIsFoundInTheCache) {
  Rig rig(tiny(), 32, settings());
  const Request asked = request(prompt(700, 1), 10, 3);
  const Heard want = alone(asked, 4096);
  rig.add(asked);
  rig.run();
  EXPECT_EQ(rig.heard[0].end->cached_tokens, 0u);
  rig.add(asked);
  rig.run();
  EXPECT_EQ(rig.heard[1].end->cached_tokens, 2 * kPage);
  expect_same(rig.heard[0], want);
  expect_same(rig.heard[1], want);
  EXPECT_EQ(rig.batch.metrics().prefix_hits, 2 * kPage);
  EXPECT_EQ(rig.batch.metrics().prefix_queries, 1400u);
  EXPECT_EQ(rig.checked(), "");
}

// The pages stay when the one that computed them leaves first.
TEST(Batch, SharedPagesOutliveTheirFirstUser) {
  Rig rig(tiny(), 32, settings());
  const Request first = request(prompt(600, 1), 3, 1), second = request(prompt(600, 1), 30, 2);
  rig.add(first);
  while (rig.heard[0].ids.empty()) rig.step();
  rig.add(second);
  rig.run();
  EXPECT_EQ(rig.heard[1].end->cached_tokens, 2 * kPage);
  expect_same(rig.heard[0], alone(first, 4096));
  expect_same(rig.heard[1], alone(second, 4096));
}

TEST(Batch, AReplyIsAPrefixOfTheNextMessage) {
  Rig rig(tiny(), 32, settings());
  const Request first = long_request(250, 40);
  rig.add(first);
  rig.run();
  Request second = first;
  second.prompt_ids.insert(second.prompt_ids.end(), rig.heard[0].ids.begin(),
                           rig.heard[0].ids.end());
  second.prompt_ids.push_back(9);
  rig.add(second);
  rig.run();
  EXPECT_EQ(rig.heard[1].end->cached_tokens, kPage);
  expect_same(rig.heard[1], alone(second, 4096));
}

TEST(Batch, SaltsAndTheSwitchSeparatePrefixes) {
  const Request asked = request(prompt(300, 1), 2, 3);
  const auto cached = [&](const ScheduleSettings& how, const std::string& salt) {
    Rig rig(tiny(), 32, how);
    rig.add(asked, {.cache_salt = "alice"});
    rig.run();
    rig.add(asked, {.cache_salt = salt});
    rig.run();
    return rig.heard[1].end->cached_tokens;
  };
  ScheduleSettings off = settings();
  off.prefixes = PrefixCaching::off;
  EXPECT_EQ(cached(settings(), "alice"), kPage);
  EXPECT_EQ(cached(settings(), "bob"), 0u);
  EXPECT_EQ(cached(off, "alice"), 0u);
}

// Several replies to one prompt compute it once.
TEST(Batch, AnEqualPromptWaitsForTheOneThatIsGoingIn) {
  Rig rig(tiny(), 32, settings());
  for (uint32_t i = 0; i < 4; ++i) rig.add(request(prompt(600, 1), 10, i));
  const size_t other = rig.add(request(prompt(300, 2), 10, 1));
  rig.step();
  EXPECT_EQ(rig.batch.metrics().running, 2u);
  EXPECT_FALSE(rig.heard[other].end.has_value());
  rig.run();
  EXPECT_EQ(rig.heard[0].end->cached_tokens, 0u);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(rig.heard[i].end->cached_tokens, 2 * kPage);
  for (uint32_t i = 0; i < 4; ++i)
    expect_same(rig.heard[i], alone(request(prompt(600, 1), 10, i), 4096));
}

// A page that no finite logits have been read behind is nobody's prefix.
TEST(Batch, AFailedPromptIsNotRemembered) {
  Rig rig(tiny(), 32, settings());
  rig.poison = 50;
  std::vector<int32_t> ids(600, 7);
  ids.back() = 50;
  rig.add(request(ids, 5, 1));
  rig.run();
  EXPECT_EQ(rig.heard[0].end->cause, EndCause::request);
  EXPECT_EQ(rig.batch.metrics().pages_cached, 0u);
  EXPECT_EQ(rig.cache.free_pages(), 32u);
}

// --- Pages

// Together they need more pages than there are.
TEST(Batch, ThePreemptedSayWhatTheyWouldHaveSaid) {
  for (const uint32_t count : {2u, 3u, 6u}) {
    Rig rig(tiny(), 3, settings());
    std::vector<Request> asked;
    for (uint32_t i = 0; i < count; ++i) {
      asked.push_back(long_request(200 + i, 150, i));
      rig.add(asked.back());
    }
    uint32_t most = 0;
    while (!rig.batch.empty()) {
      ASSERT_TRUE(rig.step());
      most = std::max(most, rig.batch.metrics().running);
    }
    EXPECT_GE(most, 2u);
    EXPECT_GT(rig.batch.metrics().preemptions, 0u);
    for (uint32_t i = 0; i < count; ++i) expect_same(rig.heard[i], alone(asked[i], 3 * kPage));
    EXPECT_EQ(rig.checked(), "");
  }
}

TEST(Batch, TheYoungestIsPreemptedAndTheOldestNever) {
  Rig rig(tiny(), 3, settings());
  const Request asked = long_request(200, 120);
  Request other = asked;
  other.prompt_ids[0] = 60;
  rig.add(asked);
  rig.add(other);
  rig.add(other);
  rig.run();
  EXPECT_GT(rig.batch.metrics().preemptions, 0u);
  EXPECT_EQ(rig.heard[0].end->preemptions, 0u);
  expect_same(rig.heard[0], alone(asked, 768));
  expect_same(rig.heard[1], alone(other, 768));
  expect_same(rig.heard[2], alone(other, 768));
}

TEST(Batch, TheYoungestOfSeveralIsPreempted) {
  Rig rig(tiny(), 5, settings());
  for (uint32_t i = 0; i < 3; ++i) rig.add(long_request(200, 120, i));  // two pages each
  rig.step();
  EXPECT_EQ(rig.batch.metrics().running, 3u);
  rig.run();
  EXPECT_EQ(rig.heard[1].end->preemptions, 0u);
  EXPECT_GT(rig.heard[2].end->preemptions, 0u);
}

TEST(Batch, WhoseRequestMattersLessIsPreemptedBeforeTheYoungest) {
  Rig rig(tiny(), 5, settings());
  for (const int32_t priority : {1, 0, 1})
    rig.add(long_request(200, 120, static_cast<uint32_t>(rig.tickets.size())),
            {.priority = priority});
  rig.step();
  EXPECT_EQ(rig.batch.metrics().running, 3u);
  rig.run();
  EXPECT_GT(rig.heard[1].end->preemptions, 0u);
  EXPECT_EQ(rig.heard[2].end->preemptions, 0u);
}

// Whatever its priority.
TEST(Batch, TheOldestKeepsItsPages) {
  Rig rig(tiny(), 3, settings());
  rig.add(long_request(200, 120, 0), {.priority = -1});
  rig.step();
  rig.add(long_request(200, 120, 1));
  rig.run();
  EXPECT_EQ(rig.heard[0].end->preemptions, 0u);
  EXPECT_GT(rig.heard[1].end->preemptions, 0u);
}

TEST(Batch, ThePreemptedComeBackBeforeThoseWhoCameLater) {
  Rig rig(tiny(), 3, settings());
  rig.add(long_request(200, 120, 0));
  rig.step();
  const size_t preempted = rig.add(long_request(200, 120, 1));
  const size_t later = rig.add(request(prompt(600, 5), 5, 1));  // needs all pages
  rig.run();
  EXPECT_GT(rig.heard[preempted].end->preemptions, 0u);
  EXPECT_LT(rig.ended[preempted], rig.ended[later]);
}

// A page for it, and another for each that runs, since each may be at a page's end.
TEST(Batch, RoomIsWhatIsFreeOrKnownToNobodyThatRuns) {
  const auto running = [](uint32_t pages, bool cached) {
    Rig rig(tiny(), pages, settings());
    if (cached) {
      rig.add(request(prompt(513, 9), 1, 1));
      rig.run();
      EXPECT_EQ(rig.batch.metrics().pages_cached, 2u);
    }
    rig.add(long_request(100, 20, 1));
    rig.step();
    rig.add(long_request(100, 20, 2));
    rig.step();
    return rig.batch.metrics().running;
  };
  EXPECT_EQ(running(2, false), 1u);
  EXPECT_EQ(running(3, false), 2u);
  EXPECT_EQ(running(3, true), 2u);
}

TEST(Batch, AReservedReplyIsNeverPreempted) {
  ScheduleSettings full = settings();
  full.reserve = Reserve::full;
  Rig rig(tiny(), 4, full);
  for (uint32_t i = 0; i < 5; ++i) rig.add(request(prompt(200, i), 200, i));  // two pages each
  uint32_t most = 0;
  while (!rig.batch.empty()) {
    rig.step();
    most = std::max(most, rig.batch.metrics().running);
  }
  EXPECT_EQ(most, 2u);
  EXPECT_EQ(rig.batch.metrics().preemptions, 0u);
}

// What is computed again would be rotated by another table.
TEST(Batch, AVaryingRopePolicyReservesWholeReplies) {
  Rig rig(tiny(), 4, settings(), true);
  for (uint32_t i = 0; i < 4; ++i) rig.add(request(prompt(200, i), 200, i));
  rig.run();
  EXPECT_EQ(rig.batch.metrics().preemptions, 0u);
  EXPECT_EQ(rig.batch.metrics().pages_cached, 0u);
}

TEST(Batch, AReplyEndsWhereAllPagesAreItsOwn) {
  Rig rig(tiny(), 1, settings());
  const Request asked = long_request(230, 60);
  rig.add(asked);
  rig.run();
  EXPECT_EQ(rig.heard[0].end->finish, Finish::length);
  expect_same(rig.heard[0], alone(asked, kPage));
}

// A long prompt that does not fit yet is not passed by short ones for ever.
TEST(Batch, NobodyPassesOneThatWaitsForPages) {
  Rig rig(tiny(), 4, settings());
  rig.add(long_request(300, 40));
  rig.step();
  const size_t large = rig.add(request(prompt(700, 2), 5, 1));
  const size_t small = rig.add(request(prompt(10, 3), 5, 1));
  while (!rig.heard[0].end) {
    rig.step();
    EXPECT_TRUE(rig.heard[small].ids.empty());
  }
  rig.run();
  EXPECT_FALSE(rig.heard[large].ids.empty());
  EXPECT_FALSE(rig.heard[small].ids.empty());
}

}  // namespace
}  // namespace ropewalk::test
