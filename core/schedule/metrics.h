// metrics.h — what the scheduler counts. Names follow vLLM's metrics, so that dashboards and
// routers made for it find theirs: `running` is vllm:num_requests_running, and so on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/generate/request.h"
#include "core/schedule/settings.h"

namespace ropewalk {

// How many values were at most bounds[i], not cumulated; the last count is of those above all.
struct Histogram {
  explicit Histogram(std::span<const double> upper) : bounds(upper), counts(upper.size() + 1) {}

  void add(double value);

  std::span<const double> bounds;  // ascending; of static storage
  std::vector<uint64_t> counts;
  double sum = 0;
  uint64_t count = 0;
};

// Bounds of vLLM's histograms.
extern const std::span<const double> kRequestSeconds, kFirstTokenSeconds, kTokenSeconds,
    kStepTokens, kRequestTokens;

// Steps that failed one after another, up to the latest step.
struct FailedSteps {
  uint32_t in_a_row = 0;
  Time latest = {};
  std::optional<Error> error = {};  // of the latest
};

struct Metrics {
  // Now.
  uint32_t running = 0;                // num_requests_running: those that hold pages
  uint32_t waiting = 0;                // num_requests_waiting: preempted ones included
  uint32_t slow_readers = 0;           // running ones that rest until their reader takes something
  uint32_t pages = 0, pages_used = 0;  // kv_cache_usage_perc: used / all, idle prefixes not counted
  uint32_t pages_cached = 0;           // idle prefixes
  uint32_t page_tokens = 0;            // cache_config_info: block_size

  // Ever.
  uint64_t prompt_tokens = 0, generation_tokens = 0;  // prompt_tokens_total: computed or found
  std::array<uint64_t, 5> finished = {};              // by Finish: request_success_total
  uint64_t preemptions = 0;                           // num_preemptions_total
  uint64_t prefix_queries = 0, prefix_hits = 0;       // tokens: prefix_cache_{queries,hits}_total
  std::array<uint64_t, 4> refused = {};               // by Refusal: admission_rejections_total
  uint64_t steps = 0;                                 // ropewalk_steps_total: that worked
  uint64_t failed_steps = 0;                          // ropewalk_failed_steps_total
  double step_seconds = 0;                            // on the device
  double gap_seconds = 0;                             // between its steps while there is work

  Histogram e2e_seconds{kRequestSeconds};             // e2e_request_latency_seconds
  Histogram queue_seconds{kRequestSeconds};           // request_queue_time_seconds
  Histogram prefill_seconds{kRequestSeconds};         // request_prefill_time_seconds
  Histogram decode_seconds{kRequestSeconds};          // request_decode_time_seconds
  Histogram inference_seconds{kRequestSeconds};       // request_inference_time_seconds
  Histogram first_token_seconds{kFirstTokenSeconds};  // time_to_first_token_seconds
  Histogram inter_token_seconds{kTokenSeconds};       // inter_token_latency_seconds
  Histogram per_token_seconds{kTokenSeconds};         // request_time_per_output_token_seconds
  Histogram step_tokens{kStepTokens};                 // iteration_tokens_total
  Histogram request_prompt_tokens{kRequestTokens};
  Histogram request_generation_tokens{kRequestTokens};
  Histogram request_max_tokens{kRequestTokens};  // request_params_max_tokens
};

}  // namespace ropewalk
