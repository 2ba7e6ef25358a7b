// outbox.h — what a request has said and its client has not read yet: the mutex between them.
//
// Threads: any, at the same time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "core/schedule/update.h"

namespace ropewalk {

class Outbox {
 public:
  // Past `limit` bytes it is full. `wake` tells the scheduler that the client has cancelled, or has
  // taken something from a full outbox; it may be called after the scheduler has gone.
  Outbox(uint64_t limit, std::function<void()> wake);

  // The client's side, as in Ticket.
  void watch(std::function<void()> ready);
  Update take();
  Update wait();
  void cancel();

  // The scheduler's side. Nothing is pushed after an update with an end.
  void push(Update update);
  bool full() const;
  bool cancelled() const { return cancelled_; }

 private:
  Update take_locked(std::unique_lock<std::mutex> lock);

  const uint64_t limit_;
  const std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> ready_;
  Update pending_;
  uint64_t bytes_ = 0;  // of pending_
  std::atomic<bool> cancelled_ = false;
};

}  // namespace ropewalk
