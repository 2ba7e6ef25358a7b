// workers.h — a few threads on which handlers run.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ropewalk::http {

class Workers {
 public:
  explicit Workers(uint32_t threads);
  ~Workers();  // stop()
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Runs `task`, which must not throw, in the order of arrival. Any thread may call it. The queue
  // is as long as there are connections, each of which waits for one answer.
  void post(std::function<void()> task);
  // Drops what has not begun and waits for what has. REQUIRES: not called from a task.
  void stop();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ropewalk::http
