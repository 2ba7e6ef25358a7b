// The thread that writes answers: who rings is heard, from any thread, also when all is over.
#include "core/serve/run/writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <vector>

namespace ropewalk::test {
namespace {

using namespace serve;

// Over when it has been told so.
class Counter final : public serve::Job {
 public:
  struct Shared {
    std::atomic<int> turns = 0;
    std::atomic<bool> over = false;
    std::atomic<bool> gone = false;
  };
  explicit Counter(Shared& shared) : shared_(shared) {}
  ~Counter() override { shared_.gone = true; }
  bool turn(Clock::time_point) override {
    ++shared_.turns;
    return shared_.over;
  }

 private:
  Shared& shared_;
};

template <class Holds>
bool eventually(Holds&& holds) {
  const auto until = Clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (Clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

Bell add(Writer& writer, Counter::Shared& shared) {
  std::optional<Bell> kept;
  writer.add([&](const Bell& bell) {
    kept = bell;
    return std::make_unique<Counter>(shared);
  });
  return *kept;
}

TEST(Writer, TurnsAJobAtOnceAndWhenItIsRung) {
  Counter::Shared shared;
  Writer writer;
  const Bell bell = add(writer, shared);
  ASSERT_TRUE(eventually([&] { return shared.turns == 1; }));
  bell.ring();
  // A silent job is looked at now and then, too, so there may be more.
  EXPECT_TRUE(eventually([&] { return shared.turns >= 2; }));
}

// However often it is rung: tokens of a small model share an event.
TEST(Writer, LeavesFourMillisecondsBetweenTheTurnsOfAJob) {
  class Watch final : public serve::Job {
   public:
    explicit Watch(std::vector<Clock::time_point>& turns) : turns_(turns) {}
    bool turn(Clock::time_point now) override {
      turns_.push_back(now);
      return turns_.size() == 8;
    }

   private:
    std::vector<Clock::time_point>& turns_;
  };
  std::vector<Clock::time_point> turns;
  {
    Writer writer;
    std::optional<Bell> kept;
    writer.add([&](const Bell& bell) {
      kept = bell;
      return std::make_unique<Watch>(turns);
    });
    EXPECT_TRUE(eventually([&] {
      kept->ring();
      return writer.jobs() == 0;
    }));
  }
  ASSERT_EQ(turns.size(), 8u);
  for (size_t i = 1; i < turns.size(); ++i)
    EXPECT_GE(turns[i] - turns[i - 1], std::chrono::milliseconds(4));
}

TEST(Writer, ForgetsAJobThatIsOver) {
  Counter::Shared shared;
  Writer writer;
  const Bell bell = add(writer, shared);
  shared.over = true;
  bell.ring();
  EXPECT_TRUE(eventually([&] { return shared.gone.load(); }));
  EXPECT_EQ(writer.jobs(), 0u);
  bell.ring();  // nobody hears it
}

TEST(Writer, ABellMayOutliveIt) {
  Counter::Shared shared;
  std::optional<Bell> bell;
  {
    Writer writer;
    bell = add(writer, shared);
  }
  EXPECT_TRUE(shared.gone);
  bell->ring();
}

TEST(Writer, HearsManyThreads) {
  constexpr int kThreads = 4, kJobs = 16;
  std::vector<Counter::Shared> shared(kJobs);
  Writer writer;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = t; i < kJobs; i += kThreads) {
        const Bell bell = add(writer, shared[static_cast<size_t>(i)]);
        for (int ring = 0; ring < 500; ++ring) bell.ring();
        shared[static_cast<size_t>(i)].over = true;
        bell.ring();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(eventually([&] { return writer.jobs() == 0; }));
  for (const Counter::Shared& one : shared) EXPECT_GE(one.turns, 1);
}

}  // namespace
}  // namespace ropewalk::test
