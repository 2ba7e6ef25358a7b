// settings.h — how requests are served: what the operator sets, and what a request may ask for.
// Plain data.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace ropewalk {

// Time as the scheduler sees it; tests bring their own.
using Time = std::chrono::steady_clock::time_point;
using Seconds = std::chrono::duration<double>;

// How a request is served; what it asks of the model is in Request.
struct Terms {
  int32_t priority = 0;  // higher ones are admitted first
  uint32_t account = 0;  // among equals the one that has had the least, then who came first
  std::optional<uint32_t> account_running = {};  // requests of the account that run at a time
  std::string cache_salt = {};           // prefixes are shared among requests of equal salt alone
  std::optional<Seconds> deadline = {};  // from submit() on
};

enum class PrefixCaching { off, on };

enum class Reserve {
  prompt,  // pages as the reply grows; the youngest request is preempted where they run out
  full,    // pages for the longest reply: no preemption, fewer requests at a time
};

struct ScheduleSettings {
  uint32_t max_running = 0;    // requests at a time; 0: as many as a step takes
  uint32_t max_rows = 0;       // of a step; 0: as many as the executor takes
  double prefill_share = 0.5;  // of a step's rows, those of a step with replies; see PlanBudget
  uint32_t max_waiting = 64;   // for their first step
  uint64_t max_waiting_tokens = 65536;        // of their prompts
  Seconds queue_time{60};                     // then a waiting request ends
  Seconds age_time{10};                       // that a waiting request gains a priority in
  uint64_t reader_bytes = uint64_t{1} << 20;  // not taken: the request rests
  Seconds reader_time{30};                    // of rest: it ends
  Reserve reserve = Reserve::prompt;
  PrefixCaching prefixes = PrefixCaching::on;
  uint32_t sampling_threads = 1;  // the scheduler's own included
};

}  // namespace ropewalk
