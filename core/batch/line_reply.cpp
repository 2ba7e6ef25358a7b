#include "core/batch/line_reply.h"

#include <utility>

#include "core/serve/run/responses.h"

namespace ropewalk::batch {

void AnswerQueue::put(Answer answer) {
  const std::lock_guard lock(mutex_);
  answers_.push_back(std::move(answer));
  changed_.notify_one();
}

std::optional<Answer> AnswerQueue::take(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, time, [this] { return !answers_.empty(); })) return std::nullopt;
  Answer answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

LineReply::~LineReply() {
  if (state_ == State::open)
    queue_->put({question_, serve::error_response(
                                serve::ApiError(500, "internal", "There was no answer.", ""))});
}

// Whether it was open until now.
bool LineReply::leave_open(State next) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::open) return false;
  state_ = next;
  return true;
}

bool LineReply::cancel() {
  if (!leave_open(State::cancelled)) return false;
  std::function<void(http::Cancel)> cancelled;
  {
    const std::lock_guard lock(mutex_);
    cancelled = events_.cancelled;
  }
  if (cancelled) cancelled(http::Cancel::client);
  return true;
}

void LineReply::watch(http::ReplyEvents events) {
  std::function<void(http::Cancel)> cancelled = events.cancelled;
  {
    const std::lock_guard lock(mutex_);
    events_ = std::move(events);
    if (state_ != State::cancelled) return;
  }
  if (cancelled) cancelled(http::Cancel::client);
}

std::optional<http::Cancel> LineReply::cancelled() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::cancelled ? std::optional(http::Cancel::client) : std::nullopt;
}

void LineReply::send(http::Response response) {
  if (leave_open(State::sent)) queue_->put({question_, std::move(response)});
}

}  // namespace ropewalk::batch
