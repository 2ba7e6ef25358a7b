// scheduler.h — serves many requests on one device: submit from any thread, read from the ticket.
//
// Owns the one thread that uses the device, its cache and its executor. Requests join and leave
// between steps; a reply has the same tokens whoever shares its steps, after a preemption and after
// a prefix was found in the cache (on a backend whose rows do not depend on their company).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/generate/running.h"
#include "core/schedule/metrics.h"
#include "core/schedule/ticket.h"

namespace ropewalk {

// Time as the scheduler sees it, so that tests bring their own.
using Time = std::chrono::steady_clock::time_point;
using Seconds = std::chrono::duration<double>;

// How a request is served; what it asks of the model is in Request.
struct Terms {
  int32_t priority = 0;  // higher ones first; among equals fairly by account, then by arrival
  uint32_t account = 0;  // who shares a turn: an API key's number
  std::string cache_salt = {};           // prefixes are shared among requests of equal salt alone
  std::optional<Seconds> deadline = {};  // from submit() on
};

enum class PrefixCaching { off, on };
enum class Reserve {
  prompt,  // pages as the reply grows; the youngest request is preempted where they run out
  full,    // pages for the longest reply: no preemption, fewer requests at a time
};

struct ScheduleSettings {
  uint32_t max_running = 0;    // requests at a time; 0: as many as the executor takes
  uint32_t max_rows = 0;       // of a step; 0: as many as the executor takes
  double prefill_share = 0.5;  // of a step's rows while a reply runs
  uint32_t max_waiting = 64;
  uint64_t max_waiting_tokens = 65536;  // of the prompts of those that wait
  Seconds queue_time{60};
  uint64_t reader_bytes = uint64_t{1} << 20;  // not taken: the request rests
  Seconds reader_time{30};                    // of rest: it is cancelled
  Reserve reserve = Reserve::prompt;
  PrefixCaching prefixes = PrefixCaching::on;
  uint32_t sampling_threads = 1;
};

// Why a request is not taken now, though nothing is wrong with it. Clients may come again.
enum class Refusal { queue_full, draining, stopped, device_lost };

struct Submitted {
  std::unique_ptr<Ticket> ticket = {};  // empty where refused
  std::optional<Refusal> refusal = {};
  Seconds retry_after{0};  // with queue_full: when the queue will have moved, by its measured rate
};

// What a scheduler serves. `make_chain` may be called from any thread.
struct Served {
  Executor& executor;
  KvCache& cache;
  const RopeTables& rope;
  Vocabulary vocabulary;
  std::function<Chain(std::span<const PluginChoice>, uint64_t seed)> make_chain;
};

Served serve_engine(Engine& engine);

class Scheduler {
 public:
  // REQUIRES: what `served` names outlives this and is used by nobody else.
  Scheduler(Served served, const ScheduleSettings& settings);
  ~Scheduler();  // stop()
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The thread begins. What was submitted before waits until then.
  void start();

  // From any thread. Checks the request and makes its samplers at once. Throws Error: limit for a
  // prompt that is empty, leaves no room for a token in the context, has an id that is not the
  // model's or never fits the cache; plugin and usage for a sampler.
  Submitted submit(const Request& request, const Terms& terms);

  // Takes no new request; what runs and waits goes on. Returns at once.
  void drain();
  // Waits until nothing runs or waits, at most `time`. Answers whether that is so.
  bool wait_idle(Seconds time);
  // Ends everything with EndCause::shutdown and joins the thread.
  void stop();

  Metrics metrics() const;  // from any thread
  // The error that lost the device. Where there is one, every request has failed and none is taken.
  std::optional<Error> failure() const;
  // Since the thread last turned: grows while a step runs, and where it hangs.
  Seconds heartbeat_age() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ropewalk
