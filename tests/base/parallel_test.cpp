#include "core/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace ropewalk::test {
namespace {

TEST(ParallelFor, CallsEachOnce) {
  for (const uint32_t threads : {0u, 1u, 3u, 100u}) {
    std::vector<std::atomic<int>> calls(37);
    parallel_for(calls.size(), threads, [&](size_t i) { ++calls[i]; });
    for (const auto& count : calls) EXPECT_EQ(count, 1) << threads;
  }
  parallel_for(0, 4, [](size_t) { FAIL(); });
}

TEST(ParallelFor, ThrowsTheFirstFailureAndStops) {
  std::atomic<int> calls = 0;
  EXPECT_THROW(parallel_for(1000, 4,
                            [&](size_t i) {
                              ++calls;
                              if (i == 3) throw std::runtime_error("third");
                              std::this_thread::sleep_for(std::chrono::microseconds(100));
                            }),
               std::runtime_error);
  EXPECT_LT(calls, 1000);
}

}  // namespace
}  // namespace ropewalk::test
