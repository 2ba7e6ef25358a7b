// exchange.h — hands one answer from the handler's threads to the I/O thread.
//
// The handler's side is the Reply interface; the connection's side is what the I/O thread calls.
// Waiting bytes are kept in one string, so that pieces coalesce while the reader is slow.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/http/reply.h"

namespace ropewalk::http {

class Exchange final : public Reply {
 public:
  // `wake` is called when take() has something to give. A lock is held: it must not call back.
  Exchange(uint64_t stream_limit, std::function<void()> wake);

  void watch(ReplyEvents events) override;
  std::optional<Cancel> cancelled() const override;
  void send(Response response) override;
  void begin(Response head) override;
  Write write(std::string_view bytes) override;
  void end() override;
  size_t pending() const override;

  // The handler has dropped its Reply.
  void abandon();

  enum class Kind { whole, stream };
  struct Output {
    std::optional<Response> head;  // once; with Kind::whole its body is the whole body
    Kind kind = Kind::whole;
    std::string bytes;  // of a stream, those of its head included
    bool ended = false;
    bool abandoned = false;  // the handler dropped its Reply: no answer, or half a stream
  };
  Output take();
  // Tells that what take() gave has been sent.
  void sent();
  // Tells the handler once, unless it has ended. Later answers are dropped, except after
  // Cancel::shutdown.
  void cancel(Cancel why);
  // The connection no longer needs the answer: `wake` is not called any more.
  void detach();

 private:
  size_t pending_locked() const { return waiting_.size() + sending_; }
  void wake_locked();

  const uint64_t stream_limit_;
  mutable std::mutex mutex_;
  std::function<void()> wake_;  // empty once detached
  ReplyEvents events_;
  std::optional<Cancel> cancelled_;
  std::optional<Response> head_;
  Kind kind_ = Kind::whole;
  std::string waiting_;  // bytes of a stream that were not taken yet
  size_t sending_ = 0;   // bytes of a stream that were taken and not sent
  bool answered_ = false, ended_ = false, abandoned_ = false;
  bool closed_ = false;  // nothing is taken from the handler any more
  bool full_ = false;    // write() returned `full` and `writable` has not been called since
  bool woken_ = false;
};

// The Reply that a handler gets. The exchange is abandoned when the last copy is destroyed.
std::shared_ptr<Reply> reply_of(std::shared_ptr<Exchange> exchange);

}  // namespace ropewalk::http
