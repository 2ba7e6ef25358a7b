#include "core/serve/run/writer.h"

#include <utility>
#include <vector>

#include "core/http/reply.h"

namespace ropewalk::serve {
namespace {

// Every job has a turn this often, though nobody rings for it: for keep-alives and time-outs.
constexpr std::chrono::milliseconds kRoundInterval{500};
// Between the beginnings of two rounds. A turn costs a stream an event, a write and its client a
// read: tokens of a small model, which come faster than this, share them. Nobody reads so fast.
constexpr std::chrono::milliseconds kPause{4};

}  // namespace

void Bell::ring() const {
  const std::lock_guard lock(rung_->mutex);
  rung_->jobs.insert(job_);
  rung_->changed.notify_one();
}

Writer::Writer() : thread_([this] { run(); }) {}

Writer::~Writer() {
  {
    const std::lock_guard lock(rung_->mutex);
    rung_->stopped = true;
    rung_->changed.notify_one();
  }
  thread_.join();
}

void Writer::add(const std::function<std::unique_ptr<Job>(const Bell&)>& make) {
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = next_++;
  }
  const Bell bell(rung_, number);
  std::shared_ptr<Job> job = make(bell);
  {
    const std::lock_guard lock(mutex_);
    jobs_.emplace(number, std::move(job));
  }
  bell.ring();
}

size_t Writer::jobs() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void Writer::run() {
  Clock::time_point next_round = Clock::now() + kRoundInterval, resume{};
  for (;;) {
    std::this_thread::sleep_until(resume);
    std::set<uint64_t> rung;
    {
      std::unique_lock lock(rung_->mutex);
      rung_->changed.wait_until(lock, next_round,
                                [this] { return rung_->stopped || !rung_->jobs.empty(); });
      if (rung_->stopped) return;
      rung.swap(rung_->jobs);
    }
    const Clock::time_point now = Clock::now();
    resume = now + kPause;
    const bool whole_round = now >= next_round;
    if (whole_round) next_round = now + kRoundInterval;
    std::vector<std::pair<uint64_t, std::shared_ptr<Job>>> due;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [number, job] : jobs_)
        if (whole_round || rung.contains(number)) due.emplace_back(number, job);
    }
    const http::Together together;
    for (const auto& [number, job] : due) {
      if (!job->turn(now)) continue;
      const std::lock_guard lock(mutex_);
      jobs_.erase(number);
    }
  }
}

}  // namespace ropewalk::serve
