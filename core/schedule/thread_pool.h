// thread_pool.h — threads that work through a list of tasks together with their caller.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ropewalk {

class ThreadPool {
 public:
  // `threads` counts the caller's. REQUIRES: threads >= 1.
  explicit ThreadPool(uint32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Calls task(0) .. task(count - 1), in any order and several at a time, and waits for all of
  // them. The caller begins alone; after 50 us it shares what is left, if that would take it as
  // long again. REQUIRES: `task` does not throw, nor wait for one that may not have begun; calls
  // come from one thread at a time.
  void run(size_t count, const std::function<void(size_t)>& task);

 private:
  // Does one task, if one is left. The lock is held before and after.
  bool work(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  const std::function<void(size_t)>* task_ = nullptr;
  size_t next_ = 0, count_ = 0;  // tasks that nobody has begun: [next_, count_)
  size_t unfinished_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ropewalk
