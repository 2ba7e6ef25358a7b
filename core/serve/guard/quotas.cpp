#include "core/serve/guard/quotas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/serve/api_error.h"

namespace ropewalk::serve {
namespace {

constexpr double kMinute = 60;

ApiError refuse(const std::string& what, double seconds) {
  return ApiError(429, "rate_limited", what, "")
      .retry_in(static_cast<int>(std::clamp(std::ceil(seconds), 1.0, kMinute)));
}

}  // namespace

Quotas::Quotas(const KeyQuota& quota, uint32_t slots)
    : quota_(quota), running_(quota.running.value_or(slots)) {}

// The tokens of a minute, as far as they were not used; they come back evenly.
Quotas::Account& Quotas::account(const std::string& key, Clock::time_point now) {
  const auto limit = static_cast<double>(quota_.tokens_per_minute.value_or(0));
  const auto [found, is_new] = accounts_.try_emplace(key);
  Account& account = found->second;
  const double seconds =
      is_new ? kMinute : std::chrono::duration<double>(now - account.filled).count();
  account.tokens = std::min(limit, account.tokens + limit * seconds / kMinute);
  account.filled = now;
  return account;
}

std::unique_ptr<Quotas::Share> Quotas::take(const std::string& key, uint32_t replies,
                                            uint64_t prompt_tokens, Clock::time_point now) {
  if (key.empty()) return nullptr;
  const std::lock_guard lock(mutex_);
  Account& account = this->account(key, now);
  if (quota_.queued && account.replies + replies > running_ + *quota_.queued)
    throw refuse(fmt::format("This key has {} replies that run or wait, at most {} may.",
                             account.replies, running_ + *quota_.queued),
                 1);
  if (const auto limit = quota_.tokens_per_minute; limit && account.tokens <= 0)
    throw refuse(fmt::format("This key has used its {} tokens a minute.", *limit),
                 (1 - account.tokens) * kMinute / *limit);
  account.replies += replies;
  account.tokens -= static_cast<double>(prompt_tokens);
  return std::make_unique<Share>(*this, key, replies, prompt_tokens);
}

void Quotas::charge(const std::string& key, uint64_t tokens) {
  const std::lock_guard lock(mutex_);
  accounts_[key].tokens -= static_cast<double>(tokens);
}

Quotas::Share::~Share() {
  const std::lock_guard lock(quotas_.mutex_);
  Account& account = quotas_.accounts_[key_];
  account.replies -= replies_;
  account.tokens += static_cast<double>(refundable_);
}

}  // namespace ropewalk::serve
