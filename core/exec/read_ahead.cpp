#include "core/exec/read_ahead.h"

#include <system_error>
#include <utility>

namespace ropewalk {

ReadAhead::ReadAhead(std::vector<Job> jobs, Limits limits)
    : jobs_(std::move(jobs)), limits_(limits), results_(jobs_.size()) {
  try {
    for (uint32_t i = 0; i < limits_.threads && i < jobs_.size(); ++i)
      threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) throw;  // else those that could be had read everything
  }
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ReadAhead::may_begin() const {
  return begun_ == taken_ || bytes_ + jobs_[begun_].bytes <= limits_.bytes;
}

void ReadAhead::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopped_ || begun_ == jobs_.size() || may_begin(); });
    if (stopped_ || begun_ == jobs_.size()) return;
    const size_t mine = begun_++;
    bytes_ += jobs_[mine].bytes;
    lock.unlock();
    Result result;
    try {
      result.weight = jobs_[mine].read();
    } catch (...) {
      result.error = std::current_exception();
    }
    result.there = true;
    lock.lock();
    results_[mine] = std::move(result);
    changed_.notify_all();
  }
}

std::unique_ptr<HostWeight> ReadAhead::next() {
  std::unique_lock lock(mutex_);
  Result& result = results_[taken_];
  changed_.wait(lock, [&] { return result.there; });
  bytes_ -= jobs_[taken_++].bytes;
  changed_.notify_all();
  if (result.error) std::rethrow_exception(result.error);
  return std::move(result.weight);
}

}  // namespace ropewalk
