#include "core/load/read_ahead.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace ropewalk {
namespace {

uint64_t align(uint64_t bytes) { return std::max<uint64_t>((bytes + 255) / 256 * 256, 256); }

}  // namespace

ReadAhead::ReadAhead(std::vector<Job> jobs, uint32_t threads, std::span<std::byte> ring)
    : jobs_(std::move(jobs)), ring_(ring), results_(jobs_.size()) {
  try {
    for (uint32_t i = 0; i < threads && i < jobs_.size(); ++i)
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

// Whether there is room for the job that is to begin; it ends at end_ then.
bool ReadAhead::find_room() {
  const uint64_t bytes = std::min<uint64_t>(align(jobs_[begun_].bytes), ring_.size());
  if (begun_ == given_back_) begin_ = end_ = 0;
  const bool wraps = begun_ != given_back_ && end_ <= begin_;
  const uint64_t limit = wraps ? begin_ : ring_.size();
  if (limit - end_ >= bytes) {
    end_ += bytes;
    return true;
  }
  if (wraps || begin_ < bytes) return false;
  end_ = bytes;
  return true;
}

void ReadAhead::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopped_ || begun_ == jobs_.size() || find_room(); });
    if (stopped_ || begun_ == jobs_.size()) return;
    const size_t mine = begun_++;
    const Job& job = jobs_[mine];
    const uint64_t end = end_;
    lock.unlock();
    Result result;
    try {
      const uint64_t begin = end - std::min<uint64_t>(align(job.bytes), ring_.size());
      result.weight = job.read(ring_.subspan(begin, job.bytes));
    } catch (...) {
      result.error = std::current_exception();
    }
    result.end = end;
    result.there = true;
    lock.lock();
    results_[mine] = std::move(result);
    changed_.notify_all();
  }
}

const abi::Weight& ReadAhead::next() {
  std::unique_lock lock(mutex_);
  // What was taken before is packed by now.
  if (given_back_ < taken_) {
    begin_ = results_[given_back_++].end;
    changed_.notify_all();
  }
  Result& result = results_[taken_++];
  changed_.wait(lock, [&] { return result.there; });
  if (result.error) std::rethrow_exception(result.error);
  return result.weight;
}

}  // namespace ropewalk
