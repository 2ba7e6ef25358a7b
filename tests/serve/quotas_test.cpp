// What one API key may have at a time.
#include "core/serve/guard/quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/serve/mini_model.h"

namespace ropewalk::test {
namespace {

using namespace serve;
using namespace std::chrono_literals;

constexpr Quotas::Clock::time_point kStart{100s};

// Seconds of the Retry-After of a refusal; 0: it was taken.
int retry_after(Quotas& quotas, const std::string& key, uint64_t tokens,
                Quotas::Clock::time_point now) {
  try {
    quotas.take(key, 1, tokens, now);
  } catch (const ApiError& error) {
    EXPECT_EQ(std::to_string(error.status()) + " " + error.code(), "429 rate_limited");
    return error.retry_after();
  }
  return 0;
}

TEST(Quotas, CountRepliesThatRunOrWait) {
  Quotas quotas({.running = 2, .queued = 1}, 8);
  auto two = quotas.take("ann", 2, 5, kStart);
  auto third = quotas.take("ann", 1, 5, kStart);
  EXPECT_EQ(retry_after(quotas, "ann", 5, kStart), 1);
  EXPECT_EQ(retry_after(quotas, "bob", 5, kStart), 0);
  two.reset();
  EXPECT_EQ(retry_after(quotas, "ann", 5, kStart), 0);
  // A request without a key has no quota.
  EXPECT_EQ(quotas.take("", 99, 5, kStart), nullptr);
}

TEST(Quotas, WithoutALimitForRunningThoseOfTheServerCount) {
  Quotas quotas({.queued = 0}, 2);
  const auto two = quotas.take("ann", 2, 5, kStart);
  EXPECT_EQ(retry_after(quotas, "ann", 5, kStart), 1);
}

TEST(Quotas, APromptThatTheServerRefusesCostsNothing) {
  Quotas quotas({.tokens_per_minute = 600}, 8);
  quotas.take("ann", 1, 600, kStart).reset();
  EXPECT_EQ(retry_after(quotas, "ann", 1, kStart), 0);
  const auto share = quotas.take("ann", 1, 600, kStart);
  share->admitted();
  EXPECT_GT(retry_after(quotas, "ann", 1, kStart), 0);
}

TEST(Quotas, GiveTokensBackEvenlyOverAMinute) {
  Quotas quotas({.tokens_per_minute = 600}, 8);
  auto share = quotas.take("ann", 1, 500, kStart);
  share->admitted();
  share->charge(220);  // 120 too many: 12 seconds
  EXPECT_EQ(retry_after(quotas, "ann", 1, kStart), 13);
  EXPECT_EQ(retry_after(quotas, "ann", 1, kStart + 10s), 3);
  EXPECT_EQ(retry_after(quotas, "ann", 1, kStart + 13s), 0);
  // What was not used is saved for one minute and no longer.
  share = quotas.take("ann", 1, 600, kStart + 1h);
  EXPECT_GT(retry_after(quotas, "ann", 1, kStart + 1h), 0);
}

}  // namespace
}  // namespace ropewalk::test
