// counters.h — keeps the metrics: told of what happens to requests, it knows what is counted.
//
// Threads: the scheduler's tells it, any may ask at any time. What a client has read is counted
// before it could read it.
#pragma once

#include <mutex>

#include "core/schedule/job.h"
#include "core/schedule/metrics.h"

namespace ropewalk {

double seconds_between(Time from, Time to);

// What requests and prefixes hold now.
struct Held {
  uint32_t running = 0, waiting = 0, slow_readers = 0, pages_used = 0, pages_cached = 0;
};

class Counters {
 public:
  Counters(uint32_t pages, uint32_t page_tokens);

  Metrics metrics() const;
  FailedSteps failed_steps() const;

  void held(const Held& now);
  // A request runs, for the first time or again; `found` of its tokens were in the prefix cache.
  void started(const Job& job, uint32_t found, bool looked);
  void step(size_t rows, Time begin, Time end);
  // No request got anything out of the step: the device failed, or no row was finite.
  void step_failed(const Error& error, Time now);
  // Nothing is there to run: what comes before the next step is no gap between steps.
  void idle() { last_step_.reset(); }
  // It has a new token. Before job.last_token is moved on.
  void token(const Job& job, Time now);
  void preempted();
  void ended(const Job& job, const Ending& end, Time now);

 private:
  mutable std::mutex mutex_;
  Metrics metrics_;
  FailedSteps failed_;
  std::optional<Time> last_step_;  // its end
};

}  // namespace ropewalk
