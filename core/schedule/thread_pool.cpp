#include "core/schedule/thread_pool.h"

#include <chrono>

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

// What waking a thread and waiting for its last task costs: tasks that take less are done alone.
constexpr std::chrono::microseconds kAlone{50};

}  // namespace

ThreadPool::ThreadPool(uint32_t threads) {
  for (uint32_t i = 1; i < threads; ++i) {
    threads_.emplace_back([this] {
      std::unique_lock lock(mutex_);
      while (!stopped_)
        if (!work(lock)) begun_.wait(lock);
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  begun_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ThreadPool::work(std::unique_lock<std::mutex>& lock) {
  if (next_ == count_) return false;
  const size_t mine = next_++;
  const auto& task = *task_;
  lock.unlock();
  task(mine);
  lock.lock();
  if (--unfinished_ == 0) ended_.notify_one();
  return true;
}

void ThreadPool::run(size_t count, const std::function<void(size_t)>& task) {
  std::unique_lock lock(mutex_);
  task_ = &task;
  next_ = 0;
  count_ = unfinished_ = count;
  const Clock::time_point begin = Clock::now();
  bool called = false;
  while (work(lock)) {
    if (called) continue;
    const auto spent = Clock::now() - begin;
    if (spent < kAlone || spent * (count_ - next_) < kAlone * next_) continue;
    called = true;
    begun_.notify_all();
  }
  ended_.wait(lock, [this] { return unfinished_ == 0; });
}

}  // namespace ropewalk
