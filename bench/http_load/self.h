// self.h — a server of core/http that streams events at a steady pace, to measure core/http alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace ropewalk::bench {

// GET /events: `events` of 100 bytes, one each `interval`, all streams in one thread as the
// engine's are. GET /probe, on the I/O thread.
class SelfServer {
 public:
  SelfServer(uint32_t events, std::chrono::microseconds interval);
  ~SelfServer();
  const std::string& address() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ropewalk::bench
