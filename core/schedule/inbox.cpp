#include "core/schedule/inbox.h"

#include <utility>

namespace ropewalk {

std::optional<Refusal> Inbox::put(std::vector<std::unique_ptr<Job>> jobs) {
  uint64_t tokens = 0;
  for (const auto& job : jobs) tokens += job->prompt_tokens();
  {
    const std::lock_guard lock(mutex_);
    const bool full = waiting_ > 0 && (waiting_ + jobs.size() > max_waiting_ ||
                                       waiting_tokens_ + tokens > max_waiting_tokens_);
    if (const auto why = full && !closed_ ? Refusal::queue_full : closed_) {
      refused_[static_cast<size_t>(*why)] += jobs.size();
      return why;
    }
    waiting_ += static_cast<uint32_t>(jobs.size());
    waiting_tokens_ += tokens;
    for (auto& job : jobs) {
      job->number = next_number_++;
      jobs_.push_back(std::move(job));
    }
  }
  arrived_.notify_one();
  return std::nullopt;
}

void Inbox::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  arrived_.notify_one();
}

void Inbox::close(Refusal why) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_ || closed_ == Refusal::draining || why == Refusal::stopped) closed_ = why;
    woken_ = true;
  }
  arrived_.notify_one();
}

bool Inbox::wait_idle(Seconds time) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, time, [this] { return empty_ && jobs_.empty(); });
}

uint64_t Inbox::waiting_tokens() const {
  const std::lock_guard lock(mutex_);
  return waiting_tokens_;
}

std::array<uint64_t, 4> Inbox::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

std::vector<std::unique_ptr<Job>> Inbox::take(std::optional<Time> until) {
  std::unique_lock lock(mutex_);
  const auto something = [this] { return woken_ || !jobs_.empty(); };
  if (!until)
    arrived_.wait(lock, something);
  else if (*until > std::chrono::steady_clock::now())  // else the kernel would still set a timer
    arrived_.wait_until(lock, *until, something);
  woken_ = false;
  if (!jobs_.empty()) empty_ = false;
  return std::exchange(jobs_, {});
}

bool Inbox::stopped() const {
  const std::lock_guard lock(mutex_);
  return closed_ == Refusal::stopped;
}

void Inbox::report(uint32_t queued, uint64_t tokens, bool empty) {
  {
    const std::lock_guard lock(mutex_);
    waiting_ = queued;
    waiting_tokens_ = tokens;
    for (const auto& job : jobs_) {
      ++waiting_;
      waiting_tokens_ += job->prompt_tokens();
    }
    empty_ = empty;
  }
  if (empty) idle_.notify_all();
}

}  // namespace ropewalk
