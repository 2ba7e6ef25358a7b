#include "core/schedule/thread_pool.h"

namespace ropewalk {

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
  if (count > 1) begun_.notify_all();
  while (work(lock)) continue;
  ended_.wait(lock, [this] { return unfinished_ == 0; });
}

}  // namespace ropewalk
