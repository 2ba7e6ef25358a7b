// load.h — asks a server over many connections at once and measures when it answers.
//
// One thread, epoll, no library: it runs on the server's machine and must cost little.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::bench {

struct LoadPlan {
  std::string host;  // numeric
  uint16_t port = 0;
  // Complete requests, sent one after another, then from the first again.
  std::vector<std::string> requests;
  uint32_t connections = 1;
  uint64_t count = 1;  // of requests
  // Requests per second, at random times (Poisson); they wait where no connection is free. 0: each
  // connection asks again as soon as it is answered.
  double rate = 0;
  uint64_t seed = 1;                   // of the arrivals
  uint32_t skipped_events = 0;         // before the one that counts as first, such as a role
  std::chrono::seconds patience{600};  // without any progress
};

// Times are in milliseconds from the moment the request was due, so that the wait for a connection
// counts.
struct LoadResult {
  std::vector<double> first_byte, first_event, whole;
  std::vector<double> gaps;  // between two reads of one stream that brought events
  uint64_t answered = 0;     // 2xx, whole; a stream that spoke of events ended with [DONE]
  uint64_t refused = 0;      // other statuses
  uint64_t broken = 0;       // cut, malformed, or no connection
  uint64_t events = 0, body_bytes = 0;
  double seconds = 0;
};

// Throws std::runtime_error where no socket can be opened, and after `patience` without progress.
LoadResult run_load(const LoadPlan& plan);

}  // namespace ropewalk::bench
