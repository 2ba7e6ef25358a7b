#include "apps/bench/bench_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include "apps/output.h"
#include "core/base/bytes.h"
#include "core/base/log.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

Json number(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

std::string figure(std::optional<double> value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : "?";
}

// Bytes of the last level of cache; 0: not known, or the device has memory of its own.
uint64_t cache_bytes_of(const abi::DeviceInfo& device) {
  if (device.type != abi::DeviceType::cpu) return 0;
  const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

}  // namespace

void BenchReport::say(const std::string& text) const {
  if (output_ == BenchOutput::text) print(text);
}

void BenchReport::begin(const std::string& model, const Runtime& runtime, const Ceiling& ceiling) {
  const MemoryPlan& plan = runtime.model().plan();
  const uint64_t cache = cache_bytes_of(runtime.device().device->info());
  const bool weights_fit_cache = plan.weights <= cache;
  const std::string driver(runtime.device().device->info().driver);
  ceiling_ = ceiling;
  json_ = {{"device", runtime.device().name()},
           {"driver", driver},
           {"model", model},
           {"measured_bandwidth_gbs", number(ceiling.read_gbs)},
           {"measured_copy_gbs", number(ceiling.copy_gbs)},
           {"measured_f16_tflops", number(ceiling.tflops)},
           {"weights_fit_cache", weights_fit_cache},
           {"load_seconds", runtime.load_seconds()},
           {"peak_host_bytes", 0},
           {"memory",
            {{"weights", plan.weights},
             {"cache", plan.cache},
             {"scratch", plan.scratch},
             {"workspace", plan.workspace}}},
           {"rows", Json::array()},
           {"does_not_fit", Json::array()}};
  say(
      fmt::format("{} on {}, {}\n"
                  "measured: read {} GB/s, copy {} GB/s, matrix products {} TFLOP/s\n"
                  "memory: weights {}, cache {}, scratch {}, workspace {}; loaded in {:.2f} s\n"
                  "{:>8} {:>6} {:>8} {:>12} {:>9} {:>9} {:>9}\n",
                  model, runtime.device().name(), driver, figure(ceiling.read_gbs, 1),
                  figure(ceiling.copy_gbs, 1), figure(ceiling.tflops, 3),
                  format_bytes(plan.weights), format_bytes(plan.cache), format_bytes(plan.scratch),
                  format_bytes(plan.workspace), runtime.load_seconds(), "kind", "batch", "context",
                  "tokens/s", "GB/s", "of ideal", "by copy"));
  if (weights_fit_cache)
    note(
        fmt::format("the weights, {}, fit the processor's cache of {}: fractions of the memory's "
                    "bandwidth say little",
                    format_bytes(plan.weights), format_bytes(cache)));
}

void BenchReport::add_row(const BenchRow& row) {
  const std::optional<double> of_ideal = fraction_of_ideal(row, ceiling_);
  const std::optional<double> by_copy = fraction_by_copy(row, ceiling_);
  if (row.kind == "decode" && first_decode_rate_ == 0) first_decode_rate_ = row.tokens_per_s;
  json_["rows"].push_back({{"kind", row.kind},
                           {"batch", row.batch},
                           {"context", row.context},
                           {"adapters", row.adapters},
                           {"steps", row.steps},
                           {"tokens_per_s", row.tokens_per_s},
                           {"gbs", row.gbs},
                           {"fraction_of_ideal", number(of_ideal)},
                           {"fraction_of_ideal_by_copy", number(by_copy)}});
  std::string counts;
  if (row.counts) {
    json_["rows"].back()["dispatches"] = row.counts->dispatches;
    json_["rows"].back()["barriers"] = row.counts->barriers;
    counts = fmt::format("  {} dispatches and {} barriers a step", row.counts->dispatches,
                         row.counts->barriers);
  }
  if (row.adapters) counts += fmt::format("  {} adapters", row.adapters);
  say(fmt::format("{:>8} {:>6} {:>8} {:>12.1f} {:>9.2f} {:>9} {:>9}{}\n", row.kind, row.batch,
                  row.context, row.tokens_per_s, row.gbs, figure(of_ideal, 3), figure(by_copy, 3),
                  counts));
}

void BenchReport::add_left_out(const DecodeRun& run) {
  json_["does_not_fit"].push_back({{"batch", run.batch}, {"context", run.context}});
  say(fmt::format("{:>8} {:>6} {:>8} {:>12}\n", "decode", run.batch, run.context, "does not fit"));
}

void BenchReport::set_peak_host_bytes(uint64_t bytes) {
  json_["peak_host_bytes"] = bytes;
  say(fmt::format("host memory at most {}\n", format_bytes(bytes)));
}

void BenchReport::set_in_order(double tokens_per_s) {
  const double act_order_has = first_decode_rate_ / tokens_per_s;
  json_["in_order"] = {{"tokens_per_s", tokens_per_s}, {"act_order_has", act_order_has}};
  say(fmt::format("groups in order: {:.1f} tokens/s at batch 1, so act-order has {:.3f} of it\n",
                  tokens_per_s, act_order_has));
}

void BenchReport::end() {
  if (output_ == BenchOutput::json) print_json(json_);
}

}  // namespace ropewalk
