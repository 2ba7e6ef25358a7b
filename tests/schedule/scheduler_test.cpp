// The scheduler's threads: clients submit, read and go from several at a time.
#include "core/schedule/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/schedule/thread_pool.h"
#include "tests/error_of.h"
#include "tests/schedule/expect_same.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

// Much patience: no test takes that long.
constexpr Seconds kLong{60};

// The rig's device without its batch: the scheduler has one of its own.
struct Service {
  explicit Service(const ScheduleSettings& settings)
      : tiny({64, 16, 8, 16}), rig(tiny, 24, settings), scheduler(rig.served(), settings) {}

  std::unique_ptr<Ticket> submit(const Request& request) {
    Submitted submitted = scheduler.submit({&request, 1}, {});
    EXPECT_FALSE(submitted.refusal.has_value());
    return submitted.tickets.empty() ? nullptr : std::move(submitted.tickets[0]);
  }

  TinyModel tiny;
  Rig rig;
  Scheduler scheduler;
};

Heard hear_all(Ticket& ticket) {
  Heard heard;
  while (!heard.end) heard.hear(ticket.wait());
  return heard;
}

TEST(Scheduler, ClientsOfManyThreadsHearWhatTheyWouldHearAlone) {
  ScheduleSettings settings;
  settings.sampling_threads = 3;
  Service served(settings);
  served.scheduler.start();
  std::vector<std::thread> clients;
  for (uint32_t c = 0; c < 4; ++c) {
    clients.emplace_back([&served, c] {
      for (uint32_t i = 0; i < 6; ++i) {
        const Request asked = request(prompt(20 + 90 * i, c % 2), 20, c * 10 + i);
        const auto ticket = served.submit(asked);
        if (i % 3 == 2) continue;  // goes without a word
        expect_same(hear_all(*ticket), alone(asked, 4096));
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(served.scheduler.wait_idle(kLong));
  const Metrics metrics = served.scheduler.metrics();
  EXPECT_EQ(metrics.running + metrics.waiting, 0u);
  EXPECT_EQ(metrics.pages_used, 0u);
  EXPECT_GE(metrics.generation_tokens, 16u);
}

TEST(Scheduler, AWatchedTicketIsReadFromItsCallback) {
  Service served({});
  const Request asked = request(prompt(300, 1), 30, 5);
  const auto ticket = served.submit(asked);
  std::mutex mutex;
  std::condition_variable ended;
  Heard heard;
  ticket->watch([&] {
    const std::lock_guard lock(mutex);
    heard.hear(ticket->take());
    if (heard.end) ended.notify_all();
  });
  served.scheduler.start();
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return heard.end.has_value(); });
  expect_same(heard, alone(asked, 4096));
}

TEST(Scheduler, SeveralRequestsAreTakenTogetherOrNotAtAll) {
  ScheduleSettings settings;
  settings.max_waiting = 4;
  Service served(settings);  // not started: all wait
  std::vector<Request> asked(3, request(prompt(10, 1), 5, 1));
  const Submitted first = served.scheduler.submit(asked, {});
  EXPECT_EQ(first.tickets.size(), 3u);
  const Submitted second = served.scheduler.submit(asked, {});
  EXPECT_EQ(second.refusal, Refusal::queue_full);
  EXPECT_TRUE(second.tickets.empty());
  EXPECT_GE(second.retry_after.count(), 1.0);
  EXPECT_LE(second.retry_after.count(), 60.0);
  const auto one = served.submit(asked[0]);
  EXPECT_EQ(served.scheduler.metrics().refused[static_cast<size_t>(Refusal::queue_full)], 3u);
}

TEST(Scheduler, AnEmptyQueueTakesAnyNumber) {
  ScheduleSettings settings;
  settings.max_waiting = 2;
  settings.max_waiting_tokens = 10;
  Service served(settings);
  const std::vector<Request> asked(5, request(prompt(10, 1), 5, 1));
  EXPECT_EQ(served.scheduler.submit(asked, {}).tickets.size(), 5u);
}

TEST(Scheduler, TheQueueCountsTokens) {
  ScheduleSettings settings;
  settings.max_waiting_tokens = 25;
  Service served(settings);
  const auto first = served.submit(request(prompt(10, 1), 5, 1));
  const auto second = served.submit(request(prompt(15, 1), 5, 1));
  const Request third = request(prompt(1, 1), 5, 1);
  EXPECT_EQ(served.scheduler.submit({&third, 1}, {}).refusal, Refusal::queue_full);
}

TEST(Scheduler, WhatIsWrongIsSaidAtOnce) {
  Service served({});
  const auto submit = [&](const Request& request) {
    return [&served, request] { served.scheduler.submit({&request, 1}, {}); };
  };
  expect_error(ExitCode::limit, HasSubstr("prompt: it is empty"), submit(request({}, 5, 1)));
  expect_error(ExitCode::limit, HasSubstr("found token id 64, expected 0 to 63"),
               submit(request({64}, 5, 1)));
  expect_error(ExitCode::limit, HasSubstr("it has 4096 tokens, the context holds 4096"),
               submit(request(prompt(4096, 1), 5, 1)));
}

TEST(Scheduler, ADrainLetsWhatIsThereGoOn) {
  Service served({});
  const Request asked = request(prompt(100, 1), 20, 5);
  const auto ticket = served.submit(asked);
  served.scheduler.drain();
  EXPECT_EQ(served.scheduler.submit({&asked, 1}, {}).refusal, Refusal::draining);
  EXPECT_FALSE(served.scheduler.wait_idle(Seconds(0)));
  served.scheduler.start();
  expect_same(hear_all(*ticket), alone(asked, 4096));
  EXPECT_TRUE(served.scheduler.wait_idle(kLong));
}

TEST(Scheduler, AStopEndsEverything) {
  std::unique_ptr<Ticket> ticket;
  const Request asked = request(prompt(100, 1), 20, 5);
  {
    Service served({});
    ticket = served.submit(asked);
    served.scheduler.stop();
    EXPECT_EQ(served.scheduler.submit({&asked, 1}, {}).refusal, Refusal::stopped);
  }
  const Heard heard = hear_all(*ticket);  // outlives the scheduler
  EXPECT_EQ(heard.end->cause, EndCause::shutdown);
  EXPECT_EQ(heard.end->finish, Finish::cancelled);
}

TEST(Scheduler, ALostDeviceRefusesWhatComes) {
  Service served({});
  served.rig.device.on_wait = abi::fail(abi::StatusCode::device_lost, "the fake is gone");
  const Request asked = request(prompt(100, 1), 20, 5);
  const auto ticket = served.submit(asked);
  served.scheduler.start();
  EXPECT_EQ(hear_all(*ticket).end->cause, EndCause::device);
  EXPECT_TRUE(served.scheduler.wait_idle(kLong));
  ASSERT_TRUE(served.scheduler.failure().has_value());
  EXPECT_THAT(served.scheduler.failure()->what(), HasSubstr("the fake is gone"));
  EXPECT_EQ(served.scheduler.submit({&asked, 1}, {}).refusal, Refusal::device_lost);
}

TEST(Scheduler, ACancelReachesAReplyThatNobodyReads) {
  ScheduleSettings settings;
  settings.reader_bytes = 1;
  Service served(settings);
  served.scheduler.start();
  served.submit(request(prompt(100, 1), 500, 5));  // the ticket goes at once
  EXPECT_TRUE(served.scheduler.wait_idle(kLong));
}

TEST(Scheduler, TheHeartBeats) {
  Service served({});
  EXPECT_GE(served.scheduler.heartbeat_age().count(), 0.0);
  EXPECT_LT(served.scheduler.heartbeat_age().count(), kLong.count());
}

TEST(ThreadPool, DoesEveryTaskOnce) {
  for (const uint32_t threads : {1u, 2u, 5u}) {
    ThreadPool crew(threads);
    for (const size_t count : {0u, 1u, 3u, 100u}) {
      std::vector<std::atomic<int>> done(count);
      crew.run(count, [&](size_t i) { ++done[i]; });
      for (const auto& times : done) EXPECT_EQ(times, 1);
    }
  }
}

// Behind a task that takes its time the others are shared.
TEST(ThreadPool, HasHelpForLongTasks) {
  ThreadPool crew(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the helper waits to be called
  std::atomic<int> begun = 0;
  std::atomic<bool> met = true;
  crew.run(3, [&](size_t i) {
    if (i == 0) return std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ++begun;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (begun < 2 && met)
      if (std::chrono::steady_clock::now() > until) met = false;
  });
  EXPECT_TRUE(met);
}

}  // namespace
}  // namespace ropewalk::test
