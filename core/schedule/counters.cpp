#include "core/schedule/counters.h"

namespace ropewalk {

double seconds_between(Time from, Time to) { return Seconds(to - from).count(); }

Counters::Counters(uint32_t pages, uint32_t page_tokens) {
  metrics_.pages = pages;
  metrics_.page_tokens = page_tokens;
}

Metrics Counters::metrics() const {
  const std::lock_guard lock(mutex_);
  return metrics_;
}

FailedSteps Counters::failed_steps() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void Counters::held(const Held& now) {
  const std::lock_guard lock(mutex_);
  metrics_.running = now.running;
  metrics_.waiting = now.waiting;
  metrics_.slow_readers = now.slow_readers;
  metrics_.pages_used = now.pages_used;
  metrics_.pages_cached = now.pages_cached;
}

void Counters::started(const Job& job, uint32_t found, bool looked) {
  const std::lock_guard lock(mutex_);
  if (looked) {
    metrics_.prefix_queries += job.text.size();
    metrics_.prefix_hits += found;
  }
  if (job.preemptions > 0) return;
  metrics_.prompt_tokens += job.prompt_tokens();
  metrics_.queue_seconds.add(seconds_between(job.submitted, *job.first_run));
}

void Counters::step(size_t rows, Time begin, Time end) {
  const std::lock_guard lock(mutex_);
  if (last_step_) metrics_.gap_seconds += seconds_between(*last_step_, begin);
  last_step_ = end;
  metrics_.step_seconds += seconds_between(begin, end);
  metrics_.step_tokens.add(static_cast<double>(rows));
  ++metrics_.steps;
  failed_ = {};
}

void Counters::step_failed(const Error& error, Time now) {
  const std::lock_guard lock(mutex_);
  last_step_.reset();
  ++metrics_.failed_steps;
  failed_ = {failed_.in_a_row + 1, now, error};
}

void Counters::token(const Job& job, Time now) {
  const std::lock_guard lock(mutex_);
  ++metrics_.generation_tokens;
  if (job.last_token)
    metrics_.inter_token_seconds.add(seconds_between(*job.last_token, now));
  else
    metrics_.first_token_seconds.add(seconds_between(job.submitted, now));
}

void Counters::preempted() {
  const std::lock_guard lock(mutex_);
  ++metrics_.preemptions;
}

void Counters::ended(const Job& job, const Ending& end, Time now) {
  const std::lock_guard lock(mutex_);
  ++metrics_.finished[static_cast<size_t>(end.finish)];
  metrics_.e2e_seconds.add(end.times.total);
  metrics_.request_prompt_tokens.add(end.prompt_tokens);
  metrics_.request_generation_tokens.add(end.new_tokens);
  metrics_.request_max_tokens.add(job.max_new_tokens);
  if (!job.first_token) return;
  const double decode = seconds_between(*job.first_token, now);
  metrics_.prefill_seconds.add(seconds_between(*job.first_run, *job.first_token));
  metrics_.decode_seconds.add(decode);
  metrics_.inference_seconds.add(seconds_between(*job.first_run, now));
  if (end.new_tokens > 1) metrics_.per_token_seconds.add(decode / (end.new_tokens - 1));
}

}  // namespace ropewalk
