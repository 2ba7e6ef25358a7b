// quotas.h — what the requests of one API key may have at a time, whatever the server has left.
//
// Replies that run at a time are the scheduler's business (Terms::account_running): further ones
// wait. Here are counted those that wait, and tokens a minute. A key is known by its digest, which
// stays when the file of keys changes.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/config/config.h"

namespace ropewalk::serve {

class Quotas {
 public:
  using Clock = std::chrono::steady_clock;

  // `slots`: replies that the whole server runs at a time.
  Quotas(const KeyQuota& quota, uint32_t slots);
  Quotas(const Quotas&) = delete;
  Quotas& operator=(const Quotas&) = delete;

  // Replies that a key has from take() on, for as long as this lives.
  class Share {
   public:
    Share(Quotas& quotas, std::string key, uint32_t replies, uint64_t prompt_tokens)
        : quotas_(quotas), key_(std::move(key)), replies_(replies), refundable_(prompt_tokens) {}
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // The server has taken the request: without this the tokens of its prompt come back.
    void admitted() { refundable_ = 0; }
    void charge(uint64_t new_tokens) { quotas_.charge(key_, new_tokens); }

   private:
    Quotas& quotas_;
    const std::string key_;
    const uint32_t replies_;
    uint64_t refundable_;
  };

  // Null for a request without a key, which has no quota. Throws ApiError 429 rate_limited with
  // Retry-After. REQUIRES: this outlives the share.
  std::unique_ptr<Share> take(const std::string& key, uint32_t replies, uint64_t prompt_tokens,
                              Clock::time_point now);

 private:
  struct Account {
    uint32_t replies = 0;  // that run or wait
    double tokens = 0;     // that it may still use; below 0 after a reply that was longer
    Clock::time_point filled = {};
  };

  void charge(const std::string& key, uint64_t tokens);
  Account& account(const std::string& key, Clock::time_point now);

  const KeyQuota quota_;
  const uint32_t running_;
  std::mutex mutex_;
  std::map<std::string, Account> accounts_;
};

}  // namespace ropewalk::serve
