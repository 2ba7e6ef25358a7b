// ticket.h — a client's end of the line: it reads what its request says, and may cancel it.
//
// Destroying the ticket cancels the request. A ticket may outlive the scheduler: what was said can
// still be read.
#pragma once

#include <functional>
#include <memory>

#include "core/schedule/update.h"

namespace ropewalk {

class Outbox;

// Threads: every function may be called from any thread, by several at the same time.
class Ticket {
 public:
  explicit Ticket(std::shared_ptr<Outbox> outbox) : outbox_(std::move(outbox)) {}
  ~Ticket();  // cancel()
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  // `ready` is called when there is something to take after nothing was there; where that is so
  // already, before watch() returns, on this thread, otherwise on the scheduler's, without a lock
  // held. It must return at once and not throw, and must not own the ticket. It is never called
  // after the update that ends the reply was taken, nor again after cancel(); one call may still be
  // running when cancel() returns, so it must own what it uses.
  void watch(std::function<void()> ready);

  // All that has come since the last call; empty where nothing has. Never waits. What is not taken
  // is kept, and past ScheduleSettings::reader_bytes the request rests until it is.
  Update take();
  // The same, but waits until there is something. REQUIRES: the end was not taken.
  Update wait();

  // Nobody reads any longer: the request ends before the next step, in the queue, in its prompt or
  // in its reply. The end, with EndCause::client, can still be read.
  void cancel();

 private:
  std::shared_ptr<Outbox> outbox_;
};

}  // namespace ropewalk
