// reply.h — where a handler answers, at once or later, whole or as a stream, from any thread.
//
// A handler keeps the shared_ptr for as long as it may still answer. When the last one goes, a
// request without an answer gets a 500, and a stream that was not ended has its connection reset,
// because a clean end would look like success. A Reply may outlive its connection and its server.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>

#include "core/http/message.h"

namespace ropewalk::http {

// Why nobody waits for the answer any longer.
enum class Cancel {
  client,    // the client has closed, half or in full, or the connection broke
  stalled,   // the client has taken no byte for Limits::write_time
  shutdown,  // the server ends; last words are still sent for Limits::farewell_time
};

enum class Write {
  taken,
  full,    // the reader is slow: nothing was taken, try again after `writable`
  closed,  // nobody reads any longer
};

// Both are called on the I/O thread, without a lock held: they must return at once and not throw.
// They must not own the Reply, which would then never be let go. One may still be running just
// after the last Reply has gone, so that they must own what they use.
struct ReplyEvents {
  std::function<void(Cancel)> cancelled;  // once at most
  std::function<void()> writable;         // after `full`, when half of the buffer is free again
};

// Threads: every function may be called from any thread, by several at the same time. None waits.
class Reply {
 public:
  virtual ~Reply() = default;

  // Where it was cancelled before, `cancelled` is called before this returns, on this thread.
  virtual void watch(ReplyEvents events) = 0;
  virtual std::optional<Cancel> cancelled() const = 0;

  // The whole answer. Of send() and begin() the first call counts, later ones do nothing.
  virtual void send(Response response) = 0;

  // A stream: the head, whose body are the first bytes of the stream. Then write()s, then end().
  virtual void begin(Response head) = 0;
  // Takes all of `bytes` or nothing. Any amount is taken while nothing is pending, so that a piece
  // larger than Limits::stream gets through. Pieces that wait for the reader leave as one.
  virtual Write write(std::string_view bytes) = 0;
  virtual void end() = 0;

  virtual size_t pending() const = 0;  // bytes of the stream that its reader has not taken
};

}  // namespace ropewalk::http
