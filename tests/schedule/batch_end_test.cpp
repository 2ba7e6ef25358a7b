// How requests end: cancelled, overdue, because nobody reads, because something fails.
#include "core/schedule/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/schedule/expect_same.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

// --- Ends

TEST(Batch, ACancelEndsARequestBeforeTheNextStep) {
  Rig rig(tiny(), 3, settings());
  const Request asked = long_request(200, 120);
  enum Phase { queued, in_prompt, replying, preempted };
  for (const Phase phase : {queued, in_prompt, replying, preempted}) {
    const size_t a = rig.add(asked);
    size_t which = a;
    if (phase != queued) rig.step();
    if (phase == replying) {
      while (rig.heard[a].ids.size() < 5) rig.step();
    }
    if (phase == preempted) {
      Request other = asked;
      other.prompt_ids[0] = 60;  // no page is shared
      which = rig.add(other);
      const auto before = rig.batch.metrics().preemptions;
      while (rig.batch.metrics().preemptions == before) rig.step();
    }
    rig.tickets[which]->cancel();
    const size_t said = rig.heard[which].ids.size();
    const uint64_t steps = rig.batch.metrics().steps;
    rig.step();
    ASSERT_TRUE(rig.heard[which].end.has_value()) << phase;
    EXPECT_EQ(rig.heard[which].end->finish, Finish::cancelled);
    EXPECT_EQ(rig.heard[which].end->cause, EndCause::client);
    EXPECT_EQ(rig.heard[which].ids.size(), said);
    EXPECT_TRUE(phase == preempted || rig.batch.metrics().steps == steps);
    rig.run();
    EXPECT_EQ(rig.checked(), "");
  }
  EXPECT_EQ(rig.wakes, 4u);
}

TEST(Batch, ADeadlineEndsAReplyWithWhatWasSaid) {
  Rig rig(tiny(), 16, settings());
  const Request asked = long_request(20, 50);
  rig.add(asked, {.deadline = 2s});
  for (int i = 0; i < 5; ++i) rig.step();
  EXPECT_EQ(rig.batch.next_due(), Time(2s));
  rig.now = 2s;
  rig.step();
  ASSERT_TRUE(rig.heard[0].end.has_value());
  EXPECT_EQ(rig.heard[0].end->finish, Finish::deadline);
  EXPECT_EQ(rig.heard[0].end->cause, EndCause::deadline);
  EXPECT_EQ(rig.heard[0].ids.size(), 5u);
  EXPECT_EQ(rig.heard[0].end->times.total, 2.0);
}

TEST(Batch, TheQueueHasItsTime) {
  ScheduleSettings one = settings();
  one.max_running = 1;
  one.queue_time = 3s;
  Rig rig(tiny(), 16, one);
  rig.add(long_request(20, 50));
  const size_t late = rig.add(request(prompt(10, 2), 5, 1));
  rig.step();
  rig.now = 3s;
  rig.step();
  ASSERT_TRUE(rig.heard[late].end.has_value());
  EXPECT_EQ(rig.heard[late].end->cause, EndCause::queue_timeout);
  EXPECT_FALSE(rig.heard[0].end.has_value());
}

TEST(Batch, AnEmptyReplyEndsAtOnce) {
  Rig rig(tiny(), 16, settings());
  const size_t a = rig.add(request(prompt(10, 1), 0, 1));
  ASSERT_TRUE(rig.read(a).end.has_value());
  EXPECT_EQ(rig.heard[a].end->finish, Finish::length);
  EXPECT_TRUE(rig.batch.empty());
}

TEST(Batch, AStopIdEndsTheReply) {
  Request asked = request(prompt(30, 1), 100, 4);
  const Heard whole = alone(asked, 4096);
  ASSERT_GT(whole.ids.size(), 3u);
  asked.stop_ids = {whole.ids[2]};
  Rig rig(tiny(), 16, settings());
  rig.add(asked);
  rig.run();
  expect_same(rig.heard[0], alone(asked, 4096));
  EXPECT_EQ(rig.heard[0].end->stop_id, whole.ids[2]);
  EXPECT_EQ(rig.heard[0].end->finish, Finish::stop);
}

// --- Slow readers

struct SlowRig : Rig {
  SlowRig() : Rig(tiny(), 3, slow()) {}
  static ScheduleSettings slow() {
    ScheduleSettings slow;
    slow.reader_bytes = 10 * sizeof(NewToken);
    slow.reader_time = 30s;
    return slow;
  }
};

TEST(Batch, ASlowReaderRestsAndGoesOn) {
  SlowRig rig;
  const Request asked = long_request(20, 50);
  rig.add(asked);
  int steps = 0;
  while (rig.batch.step()) ++steps;  // nobody reads
  EXPECT_LT(steps, 20);
  EXPECT_EQ(rig.batch.metrics().slow_readers, 1u);
  EXPECT_EQ(rig.batch.next_due(), Time(30s));
  rig.read(0);
  EXPECT_EQ(rig.wakes, 1u);
  rig.run();
  expect_same(rig.heard[0], alone(asked, 768));
}

TEST(Batch, ASlowReaderIsCancelledInTheEnd) {
  SlowRig rig;
  rig.add(long_request(20, 50));
  while (rig.batch.step()) continue;
  rig.now += 30s;
  EXPECT_FALSE(rig.batch.step());
  EXPECT_TRUE(rig.batch.empty());
  EXPECT_EQ(rig.read(0).end->cause, EndCause::slow_reader);
}

// It keeps nobody from a place or from pages.
TEST(Batch, OneThatRestsMakesWay) {
  SlowRig rig;
  const Request asked = long_request(300, 50);
  rig.add(asked);
  while (rig.batch.step()) continue;
  const Request large = request(prompt(600, 5), 5, 1);
  const size_t other = rig.add(large);
  while (!rig.read(other).end) ASSERT_TRUE(rig.batch.step());
  expect_same(rig.heard[other], alone(large, 768));
  EXPECT_EQ(rig.batch.metrics().preemptions, 1u);
  rig.run();
  expect_same(rig.heard[0], alone(asked, 768));
}

// Though a younger one runs.
TEST(Batch, OneThatRestsIsPreemptedFirst) {
  Rig rig(tiny(), 5, SlowRig::slow());
  rig.add(long_request(250, 300, 0));  // three pages in the end, the third for the 263rd token
  rig.add(long_request(100, 300, 1));  // nobody reads it
  const size_t youngest = rig.add(long_request(100, 300, 2));
  while (!rig.read(youngest).end) {
    rig.read(0);
    ASSERT_TRUE(rig.batch.step());
  }
  EXPECT_EQ(rig.batch.metrics().preemptions, 1u);
  EXPECT_EQ(rig.heard[youngest].end->preemptions, 0u);
}

TEST(Batch, AReservedReplyThatRestsKeepsItsPages) {
  ScheduleSettings full = SlowRig::slow();
  full.reserve = Reserve::full;
  Rig rig(tiny(), 3, full);
  rig.add(long_request(300, 50));
  while (rig.batch.step()) continue;
  const size_t other = rig.add(request(prompt(600, 5), 5, 1));
  EXPECT_FALSE(rig.batch.step());
  EXPECT_EQ(rig.batch.metrics().preemptions, 0u);
  rig.run();
  EXPECT_TRUE(rig.heard[other].end.has_value());
}

// --- Failures

TEST(Batch, ABadRowFailsItsOwnRequestAlone) {
  Rig rig(tiny(), 16, settings());
  const Request good = long_request(40, 30);
  rig.poison = 50;
  Request bad = request({7, 7, 50}, 5, 1);
  rig.add(good);
  rig.step();
  rig.add(bad);
  rig.poison = 50;
  rig.step();
  ASSERT_TRUE(rig.heard[1].end.has_value());
  EXPECT_EQ(rig.heard[1].end->finish, Finish::failed);
  EXPECT_EQ(rig.heard[1].end->cause, EndCause::request);
  EXPECT_EQ(rig.heard[1].end->error->code(), ExitCode::non_finite);
  rig.poison = -1;
  rig.run();
  expect_same(rig.heard[0], alone(good, 4096));
  EXPECT_EQ(rig.checked(), "");
}

TEST(Batch, AFailingSamplerFailsItsOwnRequestAlone) {
  Rig rig(tiny(), 16, settings());
  const Request good = long_request(40, 30);
  Request bad = good;
  bad.sampling = {{"failing", "sampling[0]"}};
  rig.add(bad);
  rig.add(good);
  rig.run();
  EXPECT_EQ(rig.heard[0].end->cause, EndCause::request);
  EXPECT_EQ(rig.heard[0].end->error->code(), ExitCode::plugin);
  EXPECT_THAT(rig.heard[0].end->error->what(), HasSubstr("sampler failing"));
  EXPECT_EQ(rig.heard[0].ids.size(), 3u);
  expect_same(rig.heard[1], alone(good, 4096));
}

TEST(Batch, ALostDeviceEndsEverything) {
  ScheduleSettings one = settings();
  one.max_running = 1;
  Rig rig(tiny(), 16, one);
  rig.add(long_request(40, 30));
  rig.add(request(prompt(10, 1), 5, 1));
  rig.step();
  EXPECT_FALSE(rig.batch.failure().has_value());
  rig.device.on_wait = abi::fail(abi::StatusCode::device_lost, "the fake is gone");
  rig.step();
  EXPECT_TRUE(rig.batch.empty());
  ASSERT_TRUE(rig.batch.failure().has_value());
  for (const Heard& heard : rig.heard) {
    ASSERT_TRUE(heard.end.has_value());
    EXPECT_EQ(heard.end->cause, EndCause::device);
    EXPECT_THAT(heard.end->error->what(), HasSubstr("the fake is gone"));
  }
  EXPECT_EQ(rig.checked(), "");
}

TEST(Batch, AStepThatFailsEndsThoseThatShareIt) {
  Rig rig(tiny(), 16, settings());
  const Request asked = long_request(40, 30);
  rig.add(asked);
  rig.device.on_wait = abi::fail(abi::StatusCode::internal, "a bad step");
  rig.step();
  EXPECT_EQ(rig.heard[0].end->cause, EndCause::request);
  rig.device.on_wait = {};
  rig.add(asked);
  rig.run();
  expect_same(rig.heard[1], alone(asked, 4096));
}

// --- Steps that fail

// A device that fails for everybody is told apart from a request that fails alone.
TEST(Batch, CountsStepsThatGaveNobodyAnything) {
  Rig rig(tiny(), 16, settings());
  rig.now = 5s;
  rig.device.on_wait = abi::fail(abi::StatusCode::internal, "a kernel was refused");
  for (uint32_t i = 1; i <= 3; ++i) {
    rig.add(request(prompt(10, i), 5, i));
    rig.step();
    EXPECT_EQ(rig.heard.back().end->finish, Finish::failed);
    EXPECT_EQ(rig.batch.failed_steps().in_a_row, i);
  }
  EXPECT_THAT(rig.batch.failed_steps().error->what(), HasSubstr("a kernel was refused"));
  EXPECT_EQ(rig.batch.failed_steps().latest, Time(5s));
  EXPECT_EQ(rig.batch.metrics().failed_steps, 3u);
  rig.device.on_wait = {};
  rig.add(request(prompt(10, 4), 5, 4));
  rig.step();
  EXPECT_EQ(rig.batch.failed_steps().in_a_row, 0u);
  EXPECT_FALSE(rig.batch.failed_steps().error.has_value());

  rig.poison = 60;
  std::vector<int32_t> poisoned = prompt(10, 5);
  poisoned.back() = 60;
  rig.add(request(poisoned, 5, 5));
  rig.step();  // beside a row that is finite
  EXPECT_EQ(rig.heard.back().end->finish, Finish::failed);
  EXPECT_EQ(rig.batch.failed_steps().in_a_row, 0u);
  rig.run();
  rig.add(request(poisoned, 5, 6));
  rig.step();  // alone
  EXPECT_EQ(rig.batch.failed_steps().in_a_row, 1u);
  EXPECT_EQ(rig.checked(), "");
}

}  // namespace
}  // namespace ropewalk::test
