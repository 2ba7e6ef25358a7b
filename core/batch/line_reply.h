// line_reply.h — where the server's endpoints answer a question of a batch: into a queue that one
// thread empties, in the place of a socket.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/http/reply.h"

namespace ropewalk::batch {

struct Answer {
  uint64_t question = 0;  // its number
  http::Response response = {};
};

// Threads: every function may be called from any thread.
class AnswerQueue {
 public:
  void put(Answer answer);
  // The oldest; nothing where none has come after `time`.
  std::optional<Answer> take(std::chrono::milliseconds time);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Answer> answers_;
};

// Puts exactly one answer into the queue, or none after cancel(). An endpoint that drops it without
// an answer gets a 500, as over HTTP.
class LineReply final : public http::Reply {
 public:
  LineReply(std::shared_ptr<AnswerQueue> queue, uint64_t question)
      : queue_(std::move(queue)), question_(question) {}
  ~LineReply() override;

  // Nobody wants the answer any longer. Returns false where it has come already.
  bool cancel();

  void watch(http::ReplyEvents events) override;
  std::optional<http::Cancel> cancelled() const override;
  void send(http::Response response) override;
  // A batch has no streams: what is streamed counts for nothing.
  void begin(http::Response) override {}
  http::Write write(std::string_view) override { return http::Write::closed; }
  void end() override {}
  size_t pending() const override { return 0; }

 private:
  enum class State { open, sent, cancelled };
  bool leave_open(State next);

  const std::shared_ptr<AnswerQueue> queue_;
  const uint64_t question_;
  mutable std::mutex mutex_;
  State state_ = State::open;
  http::ReplyEvents events_;
};

}  // namespace ropewalk::batch
