// batch.h — the requests that run and those that wait, moved on by one step at a time.
//
//            admit()                     ends
//   waiting ────────> running ───────────────────> gone
//      ^                 │
//      └─────────────────┘ preempt(): pages run out, or its reader is slow and others wait
//
// All calls come from the thread that owns the device, where nothing else is said. It has no thread
// of its own but the samplers' and reads no clock but the one that it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/exec/prefix_cache.h"
#include "core/schedule/accounts.h"
#include "core/schedule/counters.h"
#include "core/schedule/job.h"
#include "core/schedule/plan.h"
#include "core/schedule/served.h"
#include "core/schedule/settings.h"
#include "core/schedule/thread_pool.h"

namespace ropewalk {

class Batch {
 public:
  Batch(const Served& served, const ScheduleSettings& settings, std::function<Time()> now);

  // Waits from now on. REQUIRES: it was made for the same cache.
  void add(std::unique_ptr<Job> job);
  // Ends what is cancelled or overdue, admits, runs one step and publishes what came of it. Returns
  // whether a step ran: otherwise nothing can before somebody calls add(), cancels or reads, or
  // before next_due().
  bool step();
  // `call` is called in each step() behind admission: the device's step may take a second.
  void on_admitted(std::function<void()> call) { admitted_ = std::move(call); }
  // Ends everything.
  void end_all(EndCause cause, const std::optional<Error>& error);

  bool empty() const { return waiting_.empty() && running_.empty(); }
  // When something that is here becomes overdue; none: never.
  std::optional<Time> next_due() const;
  // Those that wait for their first step, and the tokens of their prompts.
  uint32_t queued() const;
  uint64_t queued_tokens() const;
  // The error that lost the device. Everything has ended then.
  const std::optional<Error>& failure() const { return failure_; }
  // From any thread.
  Metrics metrics() const { return counters_.metrics(); }
  FailedSteps failed_steps() const { return counters_.failed_steps(); }

 private:
  using Jobs = std::vector<std::unique_ptr<Job>>;
  struct Outcome;

  void end_overdue(Time now);
  std::optional<Ending> overdue(const Job& job, Time now) const;

  void admit(Time now);
  Jobs::iterator next_waiting(Time now);
  bool follows_a_prompt(const Job& job) const;
  bool account_has_room(const Job& job) const;
  bool uses_prefixes(const Job& job) const;
  bool has_room(const Job& job) const;
  bool has_slot(const Job& job) const;
  uint32_t outstanding_pages(const Job& job) const;
  void start(Job& job, Time now);
  bool preempt_resting();

  std::vector<uint32_t> plan_within_pages();
  Job& victim();
  void preempt(Job& job);

  void run(std::span<Job* const> jobs, std::span<const Chunk> chunks);
  void publish(Job& job, Outcome& outcome, Time now);
  void remember(Job& job);
  void end(Job& job, const Ending& how, Update last, Time now);
  void remove_finished();
  void count_held();

  const Served served_;
  ScheduleSettings settings_;
  const std::function<Time()> now_;
  std::function<void()> admitted_;
  const PlanBudget budget_;
  PrefixCache prefixes_;
  ThreadPool sampling_threads_;
  Jobs waiting_;
  Jobs running_;  // in the order of arrival
  Accounts accounts_;
  Counters counters_;
  std::optional<Error> failure_;
};

}  // namespace ropewalk
