// load.h — asks a server over many connections at once and measures when it answers.
//
// One thread, epoll, no library: on the machine that serves it must cost little.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::bench {

struct LoadPlan {
  std::string host;  // numeric
  uint16_t port = 0;
  // Whole requests, sent in turn.
  std::vector<std::string> requests;
  uint32_t connections = 1;
  uint64_t count = 1;  // of requests
  // Requests per second, which arrive at random (Poisson) and wait where no connection is free; 0:
  // each connection asks again as soon as it is answered.
  double rate = 0;
  uint64_t seed = 1;                   // of the arrivals
  uint32_t skipped_events = 0;         // before the one that counts as first, such as a role
  std::chrono::seconds patience{600};  // without any progress
};

// Times are in milliseconds, from the moment the request was due, so that one that waits for a
// connection is not better for it.
struct LoadResult {
  std::vector<double> first_byte, first_event, whole;
  std::vector<double> gaps;  // between two reads of one stream that brought events
  uint64_t answered = 0;     // 2xx, whole; a stream that spoke of events ended with [DONE]
  uint64_t refused = 0;      // other statuses
  uint64_t broken = 0;       // cut, malformed, or no connection
  uint64_t events = 0, body_bytes = 0;
  double seconds = 0;
};

// Throws std::runtime_error where no socket or no progress can be had.
LoadResult run_load(const LoadPlan& plan);

}  // namespace ropewalk::bench
