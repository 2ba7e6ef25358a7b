#include "core/schedule/batch.h"

#include <algorithm>
#include <new>

namespace ropewalk {
namespace {

// A policy that varies with the length rotates what is computed again by another table: such a
// reply must never be preempted.
ScheduleSettings settle(ScheduleSettings settings, const Served& served) {
  const Executor& executor = served.executor;
  const auto at_most = [](uint32_t wanted, uint32_t limit) {
    return wanted > 0 ? std::min(wanted, limit) : limit;
  };
  settings.max_rows = at_most(settings.max_rows, executor.max_rows());
  settings.max_running =
      at_most(settings.max_running,
              std::min({executor.max_sequences(), executor.max_wanted(), settings.max_rows}));
  if (!served.rope.keys_stay_valid()) settings.reserve = Reserve::full;
  return settings;
}

Error error_of(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const Error*>(&exception)) return *error;
  const bool memory = dynamic_cast<const std::bad_alloc*>(&exception) != nullptr;
  return Error(memory ? ExitCode::out_of_memory : ExitCode::plugin, "sampling", exception.what(),
               memory ? "Serve fewer requests at a time (serve.max_sequences)" : "");
}

}  // namespace

// What a step gave a request.
struct Batch::Outcome {
  Taken taken = {};
  std::optional<Error> error = {};
};

Batch::Batch(const Served& served, const ScheduleSettings& settings, std::function<Time()> now)
    : served_(served),
      settings_(settle(settings, served)),
      now_(std::move(now)),
      budget_{settings_.max_rows, served.executor.max_wanted(), settings_.prefill_share},
      prefixes_(served.cache, served.rope),
      sampling_threads_(settings_.sampling_threads),
      counters_(served.cache.pages(), served.cache.page_tokens()) {}

void Batch::add(std::unique_ptr<Job> job) {
  if (job->finished()) return end(*job, {}, {}, now_());
  accounts_.join(job->terms.account);
  waiting_.push_back(std::move(job));
  count_held();
}

bool Batch::step() {
  const Time start = now_();
  end_overdue(start);
  admit(start);
  const std::vector<uint32_t> rows = plan_within_pages();
  std::vector<Job*> jobs;
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == 0) continue;
    jobs.push_back(running_[i].get());
    chunks.push_back(running_[i]->running.next(rows[i]));
  }
  count_held();
  if (admitted_) admitted_();
  if (chunks.empty()) {
    counters_.idle();
    return false;
  }
  run(jobs, chunks);
  remove_finished();
  count_held();
  return true;
}

void Batch::end_all(EndCause cause, const std::optional<Error>& error) {
  const Ending how{
      .finish = error ? Finish::failed : Finish::cancelled, .cause = cause, .error = error};
  const Time now = now_();
  for (Jobs* jobs : {&running_, &waiting_})
    for (const auto& job : *jobs)
      if (!job->finished()) end(*job, how, {}, now);
  remove_finished();
  count_held();
}

// --- What ends between two steps

void Batch::end_overdue(Time now) {
  for (Jobs* jobs : {&running_, &waiting_})
    for (const auto& job : *jobs) {
      if (!job->outbox->full())
        job->resting_since.reset();
      else if (!job->resting_since)
        job->resting_since = now;
      if (const auto how = overdue(*job, now)) end(*job, *how, {}, now);
    }
  remove_finished();
}

std::optional<Ending> Batch::overdue(const Job& job, Time now) const {
  const auto ending = [](Finish finish, EndCause cause) {
    return Ending{.finish = finish, .cause = cause};
  };
  if (job.outbox->cancelled()) return ending(Finish::cancelled, EndCause::client);
  if (job.terms.deadline && now - job.submitted >= *job.terms.deadline)
    return ending(Finish::deadline, EndCause::deadline);
  if (job.resting_since && now - *job.resting_since >= settings_.reader_time)
    return ending(Finish::cancelled, EndCause::slow_reader);
  if (!job.first_run && now - job.submitted >= settings_.queue_time)
    return ending(Finish::cancelled, EndCause::queue_timeout);
  return std::nullopt;
}

std::optional<Time> Batch::next_due() const {
  std::optional<Time> due;
  const auto consider = [&](Time since, Seconds wait) {
    const Time at = since + std::chrono::duration_cast<Time::duration>(wait);
    if (!due || at < *due) due = at;
  };
  for (const Jobs* jobs : {&running_, &waiting_})
    for (const auto& job : *jobs) {
      if (job->terms.deadline) consider(job->submitted, *job->terms.deadline);
      if (job->resting_since) consider(*job->resting_since, settings_.reader_time);
      if (!job->first_run) consider(job->submitted, settings_.queue_time);
    }
  return due;
}

// --- A step

void Batch::run(std::span<Job* const> jobs, std::span<const Chunk> chunks) {
  std::vector<Outcome> outcomes(jobs.size());
  size_t rows = 0;
  for (const Chunk& chunk : chunks) rows += chunk.tokens.size();
  const Time begin = now_();
  try {
    const std::span<const ChunkResult> results = served_.executor.run(chunks);
    if (std::ranges::all_of(results, [](const ChunkResult& r) { return r.error.has_value(); }))
      counters_.step_failed(*results.front().error, now_());
    else
      counters_.step(rows, begin, now_());
    sampling_threads_.run(jobs.size(), [&](size_t i) {
      try {
        outcomes[i].taken = jobs[i]->running.take(results[i]);
      } catch (const std::exception& exception) {
        outcomes[i].error = error_of(exception);
      }
    });
  } catch (const Error& error) {
    if (error.code() == ExitCode::device_lost) {
      failure_ = error;
      return end_all(EndCause::device, error);
    }
    counters_.step_failed(error, now_());
    for (Outcome& outcome : outcomes) outcome.error = error;
  }
  const Time now = now_();
  for (size_t i = 0; i < jobs.size(); ++i) {
    // A new token costs as much as four of a prompt.
    accounts_.charge(jobs[i]->terms.account,
                     outcomes[i].taken.token ? 4 : static_cast<double>(chunks[i].tokens.size()));
    if (!outcomes[i].error && chunks[i].wanted != Wanted::none) remember(*jobs[i]);
    publish(*jobs[i], outcomes[i], now);
  }
}

// REQUIRES: the logits behind what is cached were wanted and are finite.
void Batch::remember(Job& job) {
  const uint32_t full = job.text.cached() / served_.cache.page_tokens();
  if (settings_.prefixes == PrefixCaching::off || full <= job.known_pages) return;
  prefixes_.insert(job.prefix_salt(), job.text);
  job.known_pages = full;
}

void Batch::publish(Job& job, Outcome& outcome, Time now) {
  if (outcome.error) {
    const Ending how{.finish = Finish::failed, .cause = EndCause::request, .error = outcome.error};
    return end(job, how, {}, now);
  }
  Taken& taken = outcome.taken;
  Update update{.prompt = std::move(taken.prompt), .text = std::move(taken.text)};
  if (taken.token) {
    update.tokens.push_back({std::move(*taken.token), job.running.reply().text.size()});
    counters_.token(job, now);
    if (!job.first_token) job.first_token = now;
    job.last_token = now;
  }
  if (job.finished())
    end(job, {}, std::move(update), now);
  else
    job.outbox->push(std::move(update));
}

// --- Ends

// `last` is what its last step gave.
void Batch::end(Job& job, const Ending& how, Update last, Time now) {
  if (!job.finished()) last.text += job.running.end(how.finish);
  const Reply& reply = job.running.reply();
  Ending ending = how;
  ending.finish = reply.finish;
  ending.stop = reply.stop;
  ending.stop_id = reply.stop_id;
  ending.prompt_tokens = reply.stats.prompt_tokens;
  ending.cached_tokens = job.cached_tokens;
  ending.new_tokens = reply.stats.new_tokens;
  ending.preemptions = job.preemptions;
  ending.times.queued = seconds_between(job.submitted, job.first_run.value_or(now));
  if (job.first_token) ending.times.first_token = seconds_between(job.submitted, *job.first_token);
  ending.times.total = seconds_between(job.submitted, now);
  counters_.ended(job, ending, now);
  last.end = std::move(ending);
  job.outbox->push(std::move(last));
}

void Batch::remove_finished() {
  for (Jobs* jobs : {&running_, &waiting_})
    std::erase_if(*jobs, [this](const auto& job) {
      if (job->finished()) accounts_.leave(job->terms.account);
      return job->finished();
    });
}

// --- What is known of it

uint32_t Batch::queued() const {
  return static_cast<uint32_t>(
      std::ranges::count_if(waiting_, [](const auto& job) { return !job->first_run; }));
}

uint64_t Batch::queued_tokens() const {
  uint64_t tokens = 0;
  for (const auto& job : waiting_)
    if (!job->first_run) tokens += job->prompt_tokens();
  return tokens;
}

void Batch::count_held() {
  const auto resting = std::ranges::count_if(
      running_, [](const auto& job) { return job->resting_since.has_value(); });
  const uint32_t cached = prefixes_.evictable();
  counters_.held({.running = static_cast<uint32_t>(running_.size()),
                  .waiting = static_cast<uint32_t>(waiting_.size()),
                  .slow_readers = static_cast<uint32_t>(resting),
                  .pages_used = served_.cache.pages() - served_.cache.free_pages() - cached,
                  .pages_cached = cached});
}

}  // namespace ropewalk
