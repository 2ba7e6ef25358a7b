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

  // Runs tasks in the order of arrival; a task must not throw. Any thread may call it. The queue
  // holds at most one task for each connection.
  void post(std::function<void()> task);
  // Drops tasks that have not started and waits for the others. REQUIRES: not called from a task.
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
