// inbox.h — the one queue between the threads that submit requests and the one that runs them.
//
// Threads: any, at the same time; what is under "the scheduler's thread" comes from that one.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/schedule/job.h"
#include "core/schedule/settings.h"

namespace ropewalk {

// Why a request is not taken now, though nothing is wrong with it. Clients may come again.
enum class Refusal { queue_full, draining, stopped, device_lost };

class Inbox {
 public:
  Inbox(uint32_t max_waiting, uint64_t max_waiting_tokens)
      : max_waiting_(max_waiting), max_waiting_tokens_(max_waiting_tokens) {}

  // Takes all jobs or none, and numbers them.
  std::optional<Refusal> put(std::vector<std::unique_ptr<Job>> jobs);
  // Something has changed that the scheduler's thread looks at.
  void wake();
  // Nothing is taken any more, for this reason.
  void close(Refusal why);
  bool wait_idle(Seconds time);

  uint64_t waiting_tokens() const;  // of the prompts of those that have not run yet
  std::array<uint64_t, 4> refused() const;

  // The scheduler's thread.
  //
  // What has arrived. Waits until there is something new or `until` has come; for ever without it.
  std::vector<std::unique_ptr<Job>> take(std::optional<Time> until);
  bool stopped() const;
  // What it holds of what it has taken: requests that have not run yet and the tokens of their
  // prompts, and whether it has any at all.
  void report(uint32_t queued, uint64_t tokens, bool empty);

 private:
  const uint32_t max_waiting_;
  const uint64_t max_waiting_tokens_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_, idle_;
  std::vector<std::unique_ptr<Job>> jobs_;
  uint64_t next_number_ = 0;
  uint32_t waiting_ = 0;  // in jobs_ and as reported
  uint64_t waiting_tokens_ = 0;
  bool woken_ = false, empty_ = true;
  std::optional<Refusal> closed_;
  std::array<uint64_t, 4> refused_ = {};  // by Refusal
};

}  // namespace ropewalk
