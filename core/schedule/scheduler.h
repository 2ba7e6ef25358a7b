// scheduler.h — serves many requests on one device: submit from any thread, read from the ticket.
//
// Owns the one thread that uses the device, its cache and its executor. Requests join and leave
// between steps; a reply has the same tokens whoever shares its steps, after a preemption and after
// a prefix was found in the cache (on a backend whose rows do not depend on their company).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/schedule/inbox.h"
#include "core/schedule/metrics.h"
#include "core/schedule/served.h"
#include "core/schedule/settings.h"
#include "core/schedule/ticket.h"

namespace ropewalk {

struct Submitted {
  std::vector<std::unique_ptr<Ticket>> tickets = {};  // in the requests' order; empty if refused
  std::optional<Refusal> refusal = {};
  Seconds retry_after{0};  // with queue_full: when the queue will have moved, by its measured rate
};

class Scheduler {
 public:
  // REQUIRES: what `served` names outlives this and is used by nobody else.
  Scheduler(const Served& served, const ScheduleSettings& settings);
  ~Scheduler();  // stop()
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The thread begins. What was submitted before waits until then.
  void start();

  // All of the requests or none, from any thread: a client that wants several replies to a prompt
  // submits it several times, each with its seed. A queue that is empty takes any number. Checks
  // the requests and makes their samplers at once. Throws Error: limit for a prompt that is empty,
  // leaves no room for a token or has an id that is not the model's; plugin and usage for a
  // sampler.
  Submitted submit(std::span<const Request> requests, const Terms& terms);

  // Takes no new request; what runs and waits goes on. Returns at once.
  void drain();
  // Waits until nothing runs or waits, at most `time`. Answers whether that is so.
  bool wait_idle(Seconds time);
  // Ends everything with EndCause::shutdown and joins the thread.
  void stop();

  // Both from any thread.
  Metrics metrics() const;
  FailedSteps failed_steps() const;
  // The error that lost the device. Where there is one, every request has failed and none is taken.
  std::optional<Error> failure() const;
  // Since the thread last turned: grows while a step runs, and where it hangs.
  Seconds heartbeat_age() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ropewalk
