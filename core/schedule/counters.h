// counters.h — keeps the metrics: told of what happens to requests, it knows what is counted.
#pragma once

#include "core/schedule/job.h"
#include "core/schedule/metrics.h"

namespace ropewalk {

double seconds_between(Time from, Time to);

class Counters {
 public:
  Metrics& metrics() { return metrics_; }

  // A request runs, for the first time or again; `found` of its tokens were in the prefix cache.
  void started(const Job& job, uint32_t found, bool looked);
  void step(size_t rows, Time begin, Time end);
  // Nothing is there to run: what comes before the next step is no gap between steps.
  void idle() { last_step_.reset(); }
  // It has a new token. Before job.last_token is moved on.
  void token(const Job& job, Time now);
  void preempted() { ++metrics_.preemptions; }
  void ended(const Job& job, const Ending& end, Time now);

 private:
  Metrics metrics_;
  std::optional<Time> last_step_;  // its end
};

}  // namespace ropewalk
