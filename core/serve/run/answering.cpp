#include "core/serve/run/answering.h"

#include <algorithm>
#include <utility>

#include "core/serve/run/responses.h"

namespace ropewalk::serve {

std::vector<std::unique_ptr<Ticket>> submit_all(Scheduler& scheduler, const Ask& ask,
                                                const Terms& terms) {
  std::vector<Request> requests;
  for (uint32_t reply = 0; reply < ask.replies(); ++reply)
    requests.push_back(ask.reply_request(reply));
  Submitted submitted = scheduler.submit(requests, terms);
  if (submitted.refusal) throw refusal_error(*submitted.refusal, submitted.retry_after);
  return std::move(submitted.tickets);
}

Answering::Answering(std::shared_ptr<http::Reply> reply, Ask ask, AnsweringSettings settings,
                     std::vector<std::unique_ptr<Ticket>> tickets, const Bell& bell)
    : reply_(std::move(reply)),
      ask_(std::move(ask)),
      settings_(std::move(settings)),
      tickets_(std::move(tickets)),
      last_byte_(Clock::now()) {
  if (ask_.stream)
    stream_.emplace(ask_, settings_.facts);
  else
    whole_.emplace(ask_, settings_.facts);
  reply_->watch(
      {.cancelled = [bell](http::Cancel) { bell.ring(); }, .writable = [bell] { bell.ring(); }});
  for (const auto& ticket : tickets_) ticket->watch([bell] { bell.ring(); });
}

bool Answering::turn(Clock::time_point now) {
  if (const auto why = reply_->cancelled()) return stop_for(*why);
  return stream_ ? turn_stream(now) : turn_whole();
}

bool Answering::stop_for(http::Cancel why) {
  cancel_all();
  summary_.finish = why == http::Cancel::shutdown ? "shutdown" : "client_left";
  tell_done(stream_ ? stream_->usage() : whole_->usage());
  if (why != http::Cancel::shutdown) return true;
  const ApiError error = refusal_error(Refusal::draining, Seconds(0));
  if (!begun_) {
    reply_->send(error_response(error));
    return true;
  }
  reply_->write(waiting_ + StreamAnswer::fail(error));
  reply_->end();
  return true;
}

void Answering::cancel_all() {
  for (const auto& ticket : tickets_)
    if (ticket) ticket->cancel();
}

std::optional<ApiError> Answering::take(const std::function<void(uint32_t, const Update&)>& use) {
  for (uint32_t reply = 0; reply < tickets_.size(); ++reply) {
    if (!tickets_[reply]) continue;
    const Update update = tickets_[reply]->take();
    if (update.empty()) continue;
    if (update.end) {
      const Ending& end = *update.end;
      ++ended_;
      tickets_[reply].reset();
      summary_.finish = finish_name(end.finish);
      summary_.queued_ms = std::max(summary_.queued_ms, end.times.queued * 1e3);
      summary_.first_token_ms = std::max(summary_.first_token_ms, end.times.first_token * 1e3);
      summary_.total_ms = std::max(summary_.total_ms, end.times.total * 1e3);
      const bool replied = end.cause == EndCause::none || end.cause == EndCause::deadline;
      if (!replied) return ending_error(end);
    }
    use(reply, update);
  }
  return std::nullopt;
}

// One note for each request, however many replies it has.
void Answering::tell_done(const Usage& usage) {
  summary_.prompt_tokens = usage.prompt_tokens;
  summary_.cached_tokens = usage.cached_tokens;
  summary_.new_tokens = usage.completion_tokens;
  if (settings_.share) settings_.share->charge(usage.completion_tokens);
  if (settings_.done) settings_.done(summary_);
}

bool Answering::turn_whole() {
  const auto failed =
      take([this](uint32_t reply, const Update& update) { whole_->take(reply, update); });
  if (failed) {
    cancel_all();
    tell_done(whole_->usage());
    reply_->send(error_response(*failed));
    return true;
  }
  if (!is_over()) return false;
  tell_done(whole_->usage());
  http::Response response = json_response(whole_->json());
  add_ignored(response, ask_.told);
  reply_->send(std::move(response));
  return true;
}

bool Answering::turn_stream(Clock::time_point now) {
  if (!begun_) {
    begun_ = true;
    http::Response head{.content_type = "text/event-stream; charset=utf-8",
                        .headers = {{"Cache-Control", "no-cache, no-transform"},
                                    {"X-Accel-Buffering", "no"},
                                    // Told by an event, too, where usage is asked for.
                                    {"X-Ropewalk-Seed", std::to_string(ask_.request.seed)}},
                        .body = stream_->begin()};
    add_ignored(head, ask_.told);
    reply_->begin(std::move(head));
    last_byte_ = now;
  }
  // While the reader is slow nothing is taken, so that the scheduler sees it too.
  if (waiting_.empty() && !closing_) {
    const auto failed = take(
        [this](uint32_t reply, const Update& update) { waiting_ += stream_->take(reply, update); });
    if (failed) {
      cancel_all();
      waiting_ += StreamAnswer::fail(*failed);
      closing_ = true;
    } else if (is_over()) {
      waiting_ += stream_->end();
      closing_ = true;
    } else if (waiting_.empty() && now - last_byte_ >= settings_.keep_alive) {
      waiting_ = StreamAnswer::keep_alive();
    }
  }
  return flush(now);
}

bool Answering::flush(Clock::time_point now) {
  if (!waiting_.empty()) {
    if (reply_->write(waiting_) != http::Write::taken) return false;
    waiting_.clear();
    last_byte_ = now;
  }
  if (!closing_) return false;
  tell_done(stream_->usage());
  reply_->end();
  return true;
}

}  // namespace ropewalk::serve
