// limits.h — limits for one client. Sizes are in bytes, times in milliseconds.
#pragma once

#include <chrono>
#include <cstdint>

namespace ropewalk::http {

struct Limits {
  // A request. Nothing is allocated before the bytes have arrived.
  uint32_t request_line = 8u << 10;   // above: 414
  uint32_t header_bytes = 16u << 10;  // of all headers together; above: 431
  uint32_t headers = 64;              // above: 431
  uint64_t body = 8u << 20;           // above: 413
  uint64_t bodies = 256u << 20;       // of all requests that are not answered yet; above: 503
  uint32_t pipelined = 64u << 10;     // bytes that arrive during an answer; above: closed

  // Bytes of a stream that its reader has not taken; beyond them Reply::write() returns `full`.
  uint64_t stream = 1u << 20;

  uint32_t connections = 1024;              // beyond them none is accepted until one closes
  uint32_t connections_per_address = 1024;  // above: 429. Lower it where no proxy is in front

  std::chrono::milliseconds head_time{10'000};   // from a request's first byte; above: 408
  std::chrono::milliseconds body_time{30'000};   // plus a second for each body_rate; above: 408
  uint64_t body_rate = 64u << 10;                // bytes per second, at least 1
  std::chrono::milliseconds idle_time{75'000};   // between requests; above: closed
  std::chrono::milliseconds write_time{30'000};  // without a byte taken by the reader; above: reset
  std::chrono::milliseconds linger_time{2'000};  // for the client to read the last answer
  std::chrono::milliseconds farewell_time{1'000};  // for a handler's last bytes after a drain
};

}  // namespace ropewalk::http
