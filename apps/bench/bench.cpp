// bench.cpp — `ropewalk bench`: speed, beside what the device could do at best.
//
// The ideal of decoding is one reading per step of the weights as a checkpoint has them and of the
// cached keys and values, at the bandwidth measured in the same run; that of prefill is its
// arithmetic at the measured rate.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "apps/bench/bench_plan.h"
#include "apps/bench/bench_runs.h"
#include "apps/commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/signals.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/config/nearest.h"
#include "core/model/families.h"
#include "core/model/synthetic.h"

namespace ropewalk {
namespace {

// "f16", or "gptq4-g32" with an optional "-act".
std::optional<SyntheticQuant> parse_quant(const std::string& text) {
  if (text == "f16") return std::nullopt;
  SyntheticQuant quant{.act_order = false};
  std::string_view rest = text;
  if (rest.ends_with("-act")) {
    quant.act_order = true;
    rest.remove_suffix(4);
  }
  for (const uint32_t bits : {2, 3, 4, 8}) {
    for (const uint32_t group_size : {16, 32, 64, 128, 256, 512, 1024}) {
      quant.bits = static_cast<uint8_t>(bits);
      quant.group_size = group_size;
      if (rest == fmt::format("gptq{}-g{}", bits, group_size)) return quant;
    }
  }
  throw Error(
      ExitCode::usage, "--quant", fmt::format("found {}", printable(text)),
      "Write f16, or gptqB-gN with B of 2, 3, 4 or 8 bits and N of 16 to 1024 rows a group, "
      "and -act at the end for act-order");
}

std::string quant_of(const BenchArguments& arguments) {
  return arguments.quant.empty() ? "gptq4-g32-act" : arguments.quant;
}

ModelConfig find_shape(const std::string& name) {
  if (const std::optional<ModelConfig> shape = known_shape(name)) return *shape;
  std::vector<std::string> names;
  for (const std::string_view known : known_shapes()) names.emplace_back(known);
  throw Error(ExitCode::usage, "--shape", fmt::format("found {}", printable(name)),
              suggestion(name, names));
}

// The most memory that this process has held at a time; 0 where the kernel does not tell.
uint64_t peak_host_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t kib = 0;
  while (status >> word)
    if (word == "VmHWM:" && status >> kib) break;
  return kib * 1024;
}

Json number(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

struct BenchResult {
  std::string model;
  BenchPlan plan;
  std::vector<BenchRow> rows;
  uint64_t peak_host_bytes = 0;
  Ceiling ceiling = {};
};

Json row_json(const BenchRow& row, const Ceiling& ceiling) {
  return {{"kind", row.kind},
          {"batch", row.batch},
          {"context", row.context},
          {"tokens_per_s", row.tokens_per_s},
          {"gbs", row.gbs},
          {"fraction_of_ideal", number(fraction_of_ideal(row, ceiling))},
          {"fraction_of_ideal_by_copy", number(fraction_by_copy(row, ceiling))}};
}

Json bench_json(const Runtime& runtime, const BenchResult& result) {
  const MemoryPlan& plan = runtime.model().plan();
  Json rows = Json::array(), left_out = Json::array();
  for (const BenchRow& row : result.rows) rows.push_back(row_json(row, result.ceiling));
  for (const DecodeRun& run : result.plan.left_out)
    left_out.push_back({{"batch", run.batch}, {"context", run.context}});
  return {{"device", runtime.device().name()},
          {"driver", std::string(runtime.device().device->info().driver)},
          {"model", result.model},
          {"measured_bandwidth_gbs", number(result.ceiling.read_gbs)},
          {"measured_copy_gbs", number(result.ceiling.copy_gbs)},
          {"measured_f16_tflops", number(result.ceiling.tflops)},
          {"load_seconds", runtime.load_seconds()},
          {"peak_host_bytes", result.peak_host_bytes},
          {"memory",
           {{"weights", plan.weights},
            {"cache", plan.cache},
            {"scratch", plan.scratch},
            {"workspace", plan.workspace}}},
          {"rows", rows},
          {"does_not_fit", left_out}};
}

std::string bench_text(const Json& json) {
  const auto figure = [](const Json& value, int digits) {
    return value.is_null() ? "?" : fmt::format("{:.{}f}", value.get<double>(), digits);
  };
  const Json& memory = json["memory"];
  std::string text = fmt::format(
      "{} on {}, {}\nmeasured: read {} GB/s, copy {} GB/s, f16 products {} TFLOP/s\n"
      "memory: weights {}, cache {}, scratch {}, workspace {}; host at most {}; loaded in {:.2f} "
      "s\n",
      json["model"].get<std::string>(), json["device"].get<std::string>(),
      json["driver"].get<std::string>(), figure(json["measured_bandwidth_gbs"], 1),
      figure(json["measured_copy_gbs"], 1), figure(json["measured_f16_tflops"], 3),
      format_bytes(memory["weights"]), format_bytes(memory["cache"]),
      format_bytes(memory["scratch"]), format_bytes(memory["workspace"]),
      format_bytes(json["peak_host_bytes"]), json["load_seconds"].get<double>());
  text += fmt::format("{:>8} {:>6} {:>8} {:>12} {:>9} {:>9} {:>9}\n", "kind", "batch", "context",
                      "tokens/s", "GB/s", "of ideal", "by copy");
  for (const Json& row : json["rows"])
    text += fmt::format("{:>8} {:>6} {:>8} {:>12.1f} {:>9.2f} {:>9} {:>9}\n",
                        row["kind"].get<std::string>(), row["batch"].get<uint32_t>(),
                        row["context"].get<uint32_t>(), row["tokens_per_s"].get<double>(),
                        row["gbs"].get<double>(), figure(row["fraction_of_ideal"], 3),
                        figure(row["fraction_of_ideal_by_copy"], 3));
  for (const Json& run : json["does_not_fit"])
    text += fmt::format("{:>8} {:>6} {:>8} {:>12}\n", "decode", run["batch"].get<uint32_t>(),
                        run["context"].get<uint32_t>(), "does not fit");
  if (json.contains("in_order"))
    text += fmt::format("groups in order: {:.1f} tokens/s at batch 1, so act-order has {} of it\n",
                        json["in_order"]["tokens_per_s"].get<double>(),
                        figure(json["in_order"]["act_order_has"], 3));
  return text;
}

std::vector<BenchRow> run_all(Runtime& runtime, const BenchPlan& plan) {
  clear_cache(runtime);
  std::vector<BenchRow> rows;
  for (const uint32_t tokens : plan.prefills) rows.push_back(bench_prefill(runtime, tokens));
  for (const DecodeRun& run : plan.decodes) rows.push_back(bench_decode(runtime, run));
  return rows;
}

// Weights and where they run.
struct Subject {
  std::string name;
  const Config& config;
  const WeightSource& weights;
};

RuntimeSettings settings_for(const Subject& subject, const BenchPlan& plan) {
  RuntimeSettings settings;
  settings.config = subject.config;
  settings.config.context.length = plan.context_length();
  settings.max_sequences = settings.max_wanted = plan.batch();
  settings.cache_pages = plan.pages();
  return settings;
}

// The plan loses what does not fit: that is known before anything is allocated.
OpenModel open_what_fits(const BenchArguments& arguments, const Subject& subject, BenchPlan& plan) {
  for (;;) {
    try {
      return open_weights(arguments.common, settings_for(subject, plan), subject.weights);
    } catch (const Error& error) {
      if (error.code() != ExitCode::out_of_memory || !plan.leave_out_largest()) throw;
      const DecodeRun& run = plan.left_out.back();
      note(fmt::format("a batch of {} with {} tokens each does not fit", run.batch, run.context));
    }
  }
}

Json bench_weights(const BenchArguments& arguments, const Subject& subject, BenchPlan plan) {
  OpenModel model = open_what_fits(arguments, subject, plan);
  BenchResult result{.model = subject.name, .plan = plan, .rows = run_all(model.runtime, plan)};
  // Before the device is measured, which takes memory of its own.
  result.peak_host_bytes = peak_host_bytes();
  result.ceiling = measure_ceiling(*model.runtime.device().device);
  return bench_json(model.runtime, result);
}

uint32_t context_limit(const Config& config, const WeightSource& weights) {
  return config.context.length.value_or(weights.config().max_position);
}

// A processor would take hours for the table.
BenchDefault default_for(const Config& config) {
  Registry registry = make_registry(config);
  const abi::DeviceType type = open_device(registry, config.backend).device->info().type;
  const bool slow = type == abi::DeviceType::cpu || type == abi::DeviceType::software;
  return slow ? BenchDefault::one_row : BenchDefault::table;
}

// The same shape with its groups in order, at the first row of decoding.
Json bench_in_order(const BenchArguments& arguments, const Config& config, const Json& act_order) {
  const auto first =
      std::ranges::find(act_order["rows"], "decode", [](const Json& row) { return row["kind"]; });
  SyntheticQuant quant = *parse_quant(quant_of(arguments));
  quant.act_order = false;
  const auto weights = make_synthetic(find_shape(arguments.shape), quant, 1);
  BenchPlan plan;
  const auto steps = std::min(arguments.decode, context_limit(config, *weights) / 2);
  plan.decodes = {{(*first)["batch"], (*first)["context"], steps}};
  const Subject subject{"in order", config, *weights};
  OpenModel model = open_what_fits(arguments, subject, plan);
  const double rate = run_all(model.runtime, plan).front().tokens_per_s;
  return {{"tokens_per_s", rate}, {"act_order_has", (*first)["tokens_per_s"].get<double>() / rate}};
}

Json bench_shape(const BenchArguments& arguments) {
  const Config config = config_without_file(arguments.common, ".");
  const std::optional<SyntheticQuant> quant = parse_quant(quant_of(arguments));
  const auto weights = make_synthetic(find_shape(arguments.shape), quant, 1);
  const bool asked = !arguments.prompts.empty() || !arguments.batches.empty();
  const BenchDefault otherwise = asked ? BenchDefault::one_row : default_for(config);
  const Subject subject{fmt::format("{}, random {} weights", arguments.shape, quant_of(arguments)),
                        config, *weights};
  Json json = bench_weights(arguments, subject,
                            make_bench_plan(arguments, otherwise, context_limit(config, *weights)));
  if (otherwise == BenchDefault::table && quant && quant->act_order)
    json["in_order"] = bench_in_order(arguments, config, json);
  return json;
}

Json bench_checkpoint(const BenchArguments& arguments) {
  const CommonArguments& common = arguments.common;
  if (common.target.empty())
    throw Error(ExitCode::usage, "command line", "neither CONFIG nor --shape was given",
                "See `ropewalk bench --help`");
  const Config config = open_config(common);
  const std::unique_ptr<Checkpoint> checkpoint = Checkpoint::open(config.model, config_families());
  const CheckpointWeights weights(*checkpoint);
  return bench_weights(
      arguments, {config.model.string(), config, weights},
      make_bench_plan(arguments, BenchDefault::one_row, context_limit(config, weights)));
}

}  // namespace

int bench(const BenchArguments& arguments) {
  const StopRequest stop;
  const Json json = arguments.shape.empty() ? bench_checkpoint(arguments) : bench_shape(arguments);
  arguments.common.json ? print_json(json) : print(bench_text(json));
  return 0;
}

}  // namespace ropewalk
