#include "core/exec/read_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <stdexcept>

namespace ropewalk {
namespace {

class NumberedWeight final : public HostWeight {
 public:
  explicit NumberedWeight(uint32_t number) { view_.rows = number; }
  const abi::Weight& view() const override { return view_; }
  const std::vector<float>& bias() const override { return bias_; }

 private:
  abi::Weight view_;
  std::vector<float> bias_;
};

std::vector<ReadAhead::Job> numbered(uint32_t count, const std::function<void(uint32_t)>& reading) {
  std::vector<ReadAhead::Job> jobs;
  for (uint32_t i = 0; i < count; ++i)
    jobs.push_back({[i, reading] {
                      reading(i);
                      return std::make_unique<NumberedWeight>(i);
                    },
                    10});
  return jobs;
}

TEST(ReadAhead, InOrderWhoeverReadsFaster) {
  ReadAhead reading(numbered(50,
                             [](uint32_t i) {
                               std::this_thread::sleep_for(std::chrono::microseconds(i % 7 * 100));
                             }),
                    {4, 100});
  for (uint32_t i = 0; i < 50; ++i) EXPECT_EQ(reading.next()->view().rows, i);
}

// The first is not read before the second has begun: one thread would wait forever.
TEST(ReadAhead, SeveralAtATime) {
  std::latch both(2);
  ReadAhead reading(numbered(2, [&](uint32_t) { both.arrive_and_wait(); }), {2, 100});
  EXPECT_EQ(reading.next()->view().rows, 0u);
  EXPECT_EQ(reading.next()->view().rows, 1u);
}

// Three of ten bytes fit 35; what is taken makes room.
TEST(ReadAhead, HoldsNoMoreThanItMay) {
  std::atomic<uint32_t> begun = 0, most = 0;
  uint32_t taken = 0;
  std::atomic<uint32_t> seen_taken = 0;
  ReadAhead reading(numbered(40,
                             [&](uint32_t) {
                               const uint32_t now = ++begun - seen_taken;
                               for (uint32_t m = most; now > m;)
                                 if (most.compare_exchange_weak(m, now)) break;
                             }),
                    {8, 35});
  for (; taken < 40; ++taken) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    seen_taken = taken + 1;  // before room is made
    if (taken == 20) most = 0;
    reading.next();
  }
  EXPECT_LE(most, 3u);
  EXPECT_GE(most, 2u);
}

TEST(ReadAhead, OneThatIsTooLargeIsReadAlone) {
  ReadAhead reading(numbered(3, [](uint32_t) {}), {2, 5});
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(reading.next()->view().rows, i);
}

TEST(ReadAhead, AnErrorComesInItsPlace) {
  ReadAhead reading(numbered(4,
                             [](uint32_t i) {
                               if (i == 1) throw std::runtime_error("the second");
                             }),
                    {4, 100});
  EXPECT_EQ(reading.next()->view().rows, 0u);
  EXPECT_THROW(reading.next(), std::runtime_error);
  EXPECT_EQ(reading.next()->view().rows, 2u);
}

// What was not begun is not read any more.
TEST(ReadAhead, EndsEarly) {
  std::atomic<uint32_t> read = 0;
  {
    ReadAhead reading(numbered(1000, [&](uint32_t) { ++read; }), {4, 50});
    reading.next();
  }
  EXPECT_LE(read, 6u);
}

}  // namespace
}  // namespace ropewalk
