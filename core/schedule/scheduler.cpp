#include "core/schedule/scheduler.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "core/schedule/batch.h"
#include "core/schedule/inbox.h"
#include "core/schedule/outbox.h"

namespace ropewalk {

class Scheduler::Impl {
 public:
  Impl(const Served& served, const ScheduleSettings& settings)
      : served_(served),
        reader_bytes_(settings.reader_bytes),
        inbox_(std::make_shared<Inbox>(settings.max_waiting, settings.max_waiting_tokens)),
        batch_(served, settings, &std::chrono::steady_clock::now),
        last_turn_(std::chrono::steady_clock::now()) {
    batch_.on_admitted([this] { tell_inbox(); });
  }

  void start() {
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  }

  Submitted submit(std::span<const Request> requests, const Terms& terms) {
    Submitted submitted;
    std::vector<std::unique_ptr<Job>> jobs;
    for (const Request& request : requests) {
      auto job = std::make_unique<Job>(served_.cache, served_.rope, served_.vocabulary, request,
                                       served_.make_chain(request.sampling, request.seed));
      job->terms = terms;
      job->submitted = std::chrono::steady_clock::now();
      job->outbox = std::make_shared<Outbox>(reader_bytes_, [inbox = inbox_] { inbox->wake(); });
      submitted.tickets.push_back(std::make_unique<Ticket>(job->outbox));
      jobs.push_back(std::move(job));
    }
    submitted.refusal = inbox_->put(std::move(jobs));
    if (submitted.refusal) submitted.tickets.clear();
    if (submitted.refusal == Refusal::queue_full) submitted.retry_after = retry_after();
    return submitted;
  }

  void drain() { inbox_->close(Refusal::draining); }
  bool wait_idle(Seconds time) { return inbox_->wait_idle(time); }

  void stop() {
    inbox_->close(Refusal::stopped);
    start();  // where it was never: to end what waits
    if (thread_.joinable()) thread_.join();
  }

  Metrics metrics() const {
    Metrics metrics = batch_.metrics();
    metrics.refused = inbox_->refused();
    return metrics;
  }
  FailedSteps failed_steps() const { return batch_.failed_steps(); }

  std::optional<Error> failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

  Seconds heartbeat_age() const { return std::chrono::steady_clock::now() - last_turn_.load(); }

 private:
  void work() {
    bool ran = false;
    while (!inbox_->stopped()) {
      // After a step there may be more to do at once; a time that has passed does not wait.
      for (auto& job : inbox_->take(ran ? last_turn_.load() : batch_.next_due()))
        batch_.add(std::move(job));
      ran = batch_.step();
      if (batch_.failure()) inbox_->close(Refusal::device_lost);
      report();
    }
    for (auto& job : inbox_->take(last_turn_)) batch_.add(std::move(job));
    batch_.end_all(EndCause::shutdown, std::nullopt);
    report();
  }

  void report() {
    last_turn_ = std::chrono::steady_clock::now();
    {
      const std::lock_guard lock(mutex_);
      failure_ = batch_.failure();
    }
    tell_inbox();
  }

  // What runs no longer waits: the queue has room for others while its step runs.
  void tell_inbox() { inbox_->report(batch_.queued(), batch_.queued_tokens(), batch_.empty()); }

  // When the prompts that wait will have run, by the rate of all steps until now.
  Seconds retry_after() const {
    const Metrics now = metrics();
    const double rate = now.step_tokens.sum / std::max(now.step_seconds, 1e-9);
    const auto tokens = static_cast<double>(inbox_->waiting_tokens());
    return Seconds(std::clamp(tokens / std::max(rate, 1.0), 1.0, 60.0));
  }

  const Served served_;
  const uint64_t reader_bytes_;
  const std::shared_ptr<Inbox> inbox_;  // the outboxes wake it, and may outlive this
  Batch batch_;                         // the thread's own, but for its metrics
  mutable std::mutex mutex_;
  std::optional<Error> failure_;
  std::atomic<Time> last_turn_;
  std::thread thread_;
};

Scheduler::Scheduler(const Served& served, const ScheduleSettings& settings)
    : impl_(std::make_unique<Impl>(served, settings)) {}

Scheduler::~Scheduler() { stop(); }

void Scheduler::start() { impl_->start(); }
Submitted Scheduler::submit(std::span<const Request> requests, const Terms& terms) {
  return impl_->submit(requests, terms);
}
void Scheduler::drain() { impl_->drain(); }
bool Scheduler::wait_idle(Seconds time) { return impl_->wait_idle(time); }
void Scheduler::stop() { impl_->stop(); }
Metrics Scheduler::metrics() const { return impl_->metrics(); }
FailedSteps Scheduler::failed_steps() const { return impl_->failed_steps(); }
std::optional<Error> Scheduler::failure() const { return impl_->failure(); }
Seconds Scheduler::heartbeat_age() const { return impl_->heartbeat_age(); }

}  // namespace ropewalk
