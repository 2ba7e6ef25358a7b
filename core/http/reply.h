// reply.h — where a handler answers, at once or later, whole or as a stream, from any thread.
//
// A handler keeps the shared_ptr for as long as it may still answer. When the last one is dropped,
// a request without an answer gets a 500. A stream without end() has its connection reset, because
// a clean end would look like success. A Reply may outlive its connection and its server.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/http/message.h"

namespace ropewalk::http {

// Why an answer was cancelled.
enum class Cancel {
  client,    // the client has closed, half or in full, or the connection broke
  stalled,   // the client has taken no byte for Limits::write_time
  shutdown,  // the server ends; what is written within Limits::farewell_time is still sent
};

enum class Write {
  taken,
  full,    // the reader is slow: nothing was taken, try again after `writable`
  closed,  // nobody reads any longer
};

// Both are called on the I/O thread, without a lock held: they must return at once and not throw.
// They must not own the Reply, which would then never be dropped. They must own what they use: one
// may still be running just after the last Reply was dropped.
struct ReplyEvents {
  std::function<void(Cancel)> cancelled;  // once at most
  std::function<void()> writable;         // after `full`, when half of the buffer is free again
};

// Threads: every function may be called from any thread, by several at the same time. None waits.
class Reply {
 public:
  virtual ~Reply() = default;

  // If the answer is already cancelled, `cancelled` is called on this thread before this returns.
  virtual void watch(ReplyEvents events) = 0;
  virtual std::optional<Cancel> cancelled() const = 0;

  // Sends the whole answer. Only the first call of send() or begin() counts.
  virtual void send(Response response) = 0;

  // Starts a stream: `head.body` are its first bytes. Then come write()s and end().
  virtual void begin(Response head) = 0;
  // Takes all of `bytes` or nothing. It takes any amount while nothing is pending, so that a piece
  // larger than Limits::stream gets through. Waiting pieces are sent together.
  virtual Write write(std::string_view bytes) = 0;
  virtual void end() = 0;

  virtual size_t pending() const = 0;  // bytes of the stream that its reader has not taken
};

class Wakes;

// What its thread says to any Reply while it lives goes to the I/O thread at its end: one switch of
// threads for all of it. Meant for many short answers: until then nothing of them is sent, nor what
// other threads say meanwhile.
class Together {
 public:
  Together();
  ~Together();
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;

 private:
  friend class Wakes;
  Together* const outer_;
  std::vector<std::shared_ptr<Wakes>> woken_;
};

}  // namespace ropewalk::http
