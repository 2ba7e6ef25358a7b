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
    if (threads_.empty()) throw;  // one thread is enough
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

// Reserves room for the next job at head_; false where there is none yet.
bool ReadAhead::take_room() {
  const uint64_t bytes = std::min<uint64_t>(align(jobs_[started_].bytes), ring_.size());
  if (started_ == freed_) tail_ = head_ = 0;
  const bool wraps = started_ != freed_ && head_ <= tail_;
  const uint64_t limit = wraps ? tail_ : ring_.size();
  if (limit - head_ >= bytes) {
    head_ += bytes;
    return true;
  }
  if (wraps || tail_ < bytes) return false;
  head_ = bytes;
  return true;
}

void ReadAhead::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopped_ || started_ == jobs_.size() || take_room(); });
    if (stopped_ || started_ == jobs_.size()) return;
    const size_t mine = started_++;
    const Job& job = jobs_[mine];
    const uint64_t end = head_;
    lock.unlock();
    Result result;
    try {
      const uint64_t start = end - std::min<uint64_t>(align(job.bytes), ring_.size());
      result.weight = job.read(ring_.subspan(start, job.bytes));
    } catch (...) {
      result.error = std::current_exception();
    }
    result.end = end;
    result.ready = true;
    lock.lock();
    results_[mine] = std::move(result);
    changed_.notify_all();
  }
}

const abi::Weight& ReadAhead::next() {
  std::unique_lock lock(mutex_);
  // The weight that the last call returned has been packed by now.
  if (freed_ < taken_) {
    tail_ = results_[freed_++].end;
    changed_.notify_all();
  }
  Result& result = results_[taken_++];
  changed_.wait(lock, [&] { return result.ready; });
  if (result.error) std::rethrow_exception(result.error);
  return result.weight;
}

}  // namespace ropewalk
