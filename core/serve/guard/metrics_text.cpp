#include "core/serve/guard/metrics_text.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

namespace ropewalk::serve {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

class MetricsWriter {
 public:
  explicit MetricsWriter(const std::string& model)
      : labels_(fmt::format("model_name=\"{}\",engine=\"0\"", escaped(model))) {}

  void head(std::string_view name, std::string_view type, std::string_view help) {
    text_ += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  void sample(std::string_view name, std::string_view labels, double value) {
    text_ += fmt::format("{}{{{}}} {}\n", name, labels, value);
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    head(name, "gauge", help);
    sample(name, labels_, value);
  }
  void counter(std::string_view name, std::string_view help, double value) {
    head(name, "counter", help);
    sample(name, labels_, value);
  }
  void histogram(std::string_view name, std::string_view help, const Histogram& histogram) {
    head(name, "histogram", help);
    uint64_t below = 0;
    for (size_t i = 0; i < histogram.counts.size(); ++i) {
      below += histogram.counts[i];
      const std::string bound =
          i < histogram.bounds.size() ? fmt::format("{}", histogram.bounds[i]) : "+Inf";
      sample(fmt::format("{}_bucket", name), fmt::format("{},le=\"{}\"", labels_, bound),
             static_cast<double>(below));
    }
    sample(fmt::format("{}_sum", name), labels_, histogram.sum);
    sample(fmt::format("{}_count", name), labels_, static_cast<double>(histogram.count));
  }
  std::string with(std::string_view label, std::string_view value) const {
    return fmt::format("{},{}=\"{}\"", labels_, label, escaped(value));
  }
  std::string take() { return std::move(text_); }

 private:
  const std::string labels_;
  std::string text_;
};

// By vLLM's words. A reply that its deadline cut is one that a length cut.
std::array<std::pair<std::string_view, uint64_t>, 4> finished_reasons(const Metrics& metrics) {
  const auto count = [&](Finish finish) { return metrics.finished[static_cast<size_t>(finish)]; };
  return {{{"stop", count(Finish::stop)},
           {"length", count(Finish::length) + count(Finish::deadline)},
           {"abort", count(Finish::cancelled)},
           {"error", count(Finish::failed)}}};
}

void write_gauges(MetricsWriter& out, const Metrics& metrics) {
  out.gauge("vllm:num_requests_running", "Requests that hold pages.", metrics.running);
  out.gauge("vllm:num_requests_waiting", "Requests that wait.", metrics.waiting);
  const double used = metrics.pages == 0 ? 0
                                         : static_cast<double>(metrics.pages_used) /
                                               static_cast<double>(metrics.pages);
  out.gauge("vllm:kv_cache_usage_perc", "Share of the cache's pages in use, 0 to 1.", used);
  out.head("vllm:cache_config_info", "gauge", "The cache's shape.");
  out.sample("vllm:cache_config_info",
             out.with("block_size", fmt::format("{}", metrics.page_tokens)) +
                 fmt::format(",num_gpu_blocks=\"{}\"", metrics.pages),
             1);
  out.gauge("ropewalk_slow_readers", "Requests that rest until their reader takes something.",
            metrics.slow_readers);
  out.gauge("ropewalk_cached_pages", "Pages of idle prefixes.", metrics.pages_cached);
}

void write_counters(MetricsWriter& out, const Metrics& metrics) {
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  out.counter("vllm:prompt_tokens_total", "Tokens of prompts.", number(metrics.prompt_tokens));
  out.counter("vllm:generation_tokens_total", "Sampled tokens.", number(metrics.generation_tokens));
  out.head("vllm:request_success_total", "counter", "Requests that ended, by how.");
  for (const auto& [reason, count] : finished_reasons(metrics))
    out.sample("vllm:request_success_total", out.with("finished_reason", reason), number(count));
  out.counter("vllm:num_preemptions_total", "Requests that gave their pages back.",
              number(metrics.preemptions));
  out.counter("vllm:prefix_cache_queries_total", "Tokens of prompts that were looked up.",
              number(metrics.prefix_queries));
  out.counter("vllm:prefix_cache_hits_total", "Tokens that were found.",
              number(metrics.prefix_hits));
  constexpr std::array<std::string_view, 4> kRefusals = {"queue_full", "draining", "stopped",
                                                         "device_lost"};
  out.head("vllm:admission_rejections_total", "counter", "Requests that were not taken.");
  for (size_t i = 0; i < kRefusals.size(); ++i)
    out.sample("vllm:admission_rejections_total", out.with("reason", kRefusals[i]),
               number(metrics.refused[i]));
  out.counter("ropewalk_steps_total", "Steps of the device.", number(metrics.steps));
  out.counter("ropewalk_failed_steps_total", "Steps that no request got anything out of.",
              number(metrics.failed_steps));
  out.counter("ropewalk_step_seconds_total", "Time in steps.", metrics.step_seconds);
  out.counter("ropewalk_gap_seconds_total", "Time between steps while work waits.",
              metrics.gap_seconds);
}

void write_histograms(MetricsWriter& out, const Metrics& metrics) {
  out.histogram("vllm:e2e_request_latency_seconds", "From request to end.", metrics.e2e_seconds);
  out.histogram("vllm:request_queue_time_seconds", "In the queue.", metrics.queue_seconds);
  out.histogram("vllm:request_prefill_time_seconds", "In the prompt.", metrics.prefill_seconds);
  out.histogram("vllm:request_decode_time_seconds", "In the reply.", metrics.decode_seconds);
  out.histogram("vllm:request_inference_time_seconds", "In prompt and reply.",
                metrics.inference_seconds);
  out.histogram("vllm:time_to_first_token_seconds", "From request to first token.",
                metrics.first_token_seconds);
  out.histogram("vllm:inter_token_latency_seconds", "Between tokens.", metrics.inter_token_seconds);
  out.histogram("vllm:request_time_per_output_token_seconds", "Mean of a reply's tokens.",
                metrics.per_token_seconds);
  out.histogram("vllm:iteration_tokens_total", "Tokens of a step.", metrics.step_tokens);
  out.histogram("vllm:request_prompt_tokens", "Tokens of a prompt.", metrics.request_prompt_tokens);
  out.histogram("vllm:request_generation_tokens", "Tokens of a reply.",
                metrics.request_generation_tokens);
  out.histogram("vllm:request_params_max_tokens", "Tokens that were asked for at most.",
                metrics.request_max_tokens);
}

// Without labels, as Prometheus's own clients have them.
std::string process_text(const ServerFacts& facts) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       double value) {
    text += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help, value);
  };
  add("process_cpu_seconds_total", "counter", "Time of all threads.", facts.process.cpu_seconds);
  add("process_resident_memory_bytes", "gauge", "Memory in use.",
      static_cast<double>(facts.process.resident_bytes));
  add("process_open_fds", "gauge", "Open files and sockets.", facts.process.open_files);
  add("process_start_time_seconds", "gauge", "Unix time.", static_cast<double>(facts.started));
  return text;
}

}  // namespace

std::string metrics_text(const ServerFacts& facts, const Metrics* metrics,
                         const Journal::Counts& counts) {
  MetricsWriter out(facts.model_name);
  out.head("ropewalk_build_info", "gauge", "The program.");
  out.sample("ropewalk_build_info",
             out.with("version", facts.version) +
                 fmt::format(",fingerprint=\"{}\"", escaped(facts.fingerprint)),
             1);
  out.gauge("ropewalk_ready", "Whether it would serve.", facts.ready ? 1 : 0);
  out.gauge("ropewalk_connections", "Open connections.", facts.connections);
  out.gauge("ropewalk_engine_heartbeat_seconds", "Since the engine's thread last turned.",
            facts.heartbeat_seconds);
  if (metrics) {
    write_gauges(out, *metrics);
    write_counters(out, *metrics);
    write_histograms(out, *metrics);
    out.histogram("vllm:request_params_n", "Choices that were asked for.", counts.choices);
  }
  out.head("ropewalk_http_requests_total", "counter", "Requests by path and status.");
  for (const auto& [key, count] : counts.requests)
    out.sample("ropewalk_http_requests_total",
               fmt::format("path=\"{}\",code=\"{}\"", escaped(key.first), key.second),
               static_cast<double>(count));
  out.head("ropewalk_ignored_fields_total", "counter", "Fields of requests without effect.");
  for (const auto& [field, count] : counts.ignored)
    out.sample("ropewalk_ignored_fields_total", fmt::format("field=\"{}\"", escaped(field)),
               static_cast<double>(count));
  return out.take() + process_text(facts);
}

}  // namespace ropewalk::serve
