// bench.cpp — `ropewalk bench`: speed, beside what the device could do at best.
//
// The ideal of decoding is one reading of the weights and of the cached keys and values per step,
// at the bandwidth measured in the same run; that of prefill is its arithmetic at the measured
// rate.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "apps/bench_runs.h"
#include "apps/commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/nearest.h"
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

ModelConfig find_shape(const std::string& name) {
  if (const std::optional<ModelConfig> shape = known_shape(name)) return *shape;
  std::vector<std::string> names;
  for (const std::string_view known : known_shapes()) names.emplace_back(known);
  throw Error(ExitCode::usage, "--shape", fmt::format("found {}", printable(name)),
              suggestion(name, names));
}

// Contexts and steps cut down to what the model's context holds, and the context to what is needed.
struct BenchPlan {
  std::vector<uint32_t> contexts, batches;
  uint32_t decode_steps = 0;
  uint32_t context_length = 0;
};

BenchPlan make_plan(const BenchArguments& arguments, uint32_t context_length) {
  BenchPlan plan;
  plan.batches = arguments.batches.empty() ? std::vector<uint32_t>{1} : arguments.batches;
  plan.decode_steps = std::min(arguments.decode, std::max(context_length / 2, 1u));
  if (plan.decode_steps < arguments.decode)
    note(fmt::format("the context holds {} tokens: {} decode steps instead of {}", context_length,
                     plan.decode_steps, arguments.decode));
  const uint32_t room = std::max(context_length - plan.decode_steps, 1u);
  for (const uint32_t wanted :
       arguments.prompts.empty() ? std::vector<uint32_t>{512} : arguments.prompts) {
    const uint32_t context = std::min(wanted, room);
    if (context < wanted)
      note(fmt::format("the context holds {} tokens: a prompt of {} instead of {}", context_length,
                       context, wanted));
    if (std::ranges::find(plan.contexts, context) == plan.contexts.end())
      plan.contexts.push_back(context);
    plan.context_length = std::max(plan.context_length, context + plan.decode_steps);
  }
  return plan;
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
  std::vector<BenchRow> rows;
  uint64_t peak_host_bytes = 0;
  Ceiling ceiling = {};
};

Json bench_json(const Runtime& runtime, const BenchResult& result) {
  const MemoryPlan& plan = runtime.model().plan();
  Json rows = Json::array();
  for (const BenchRow& row : result.rows)
    rows.push_back({{"kind", row.kind},
                    {"batch", row.batch},
                    {"context", row.context},
                    {"tokens_per_s", row.tokens_per_s},
                    {"gbs", row.gbs},
                    {"fraction_of_ideal", number(fraction_of_ideal(row, result.ceiling))}});
  return {{"device", runtime.device().name()},
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
          {"rows", rows}};
}

std::string bench_text(const Json& json) {
  const auto figure = [](const Json& value, int digits) {
    return value.is_null() ? "?" : fmt::format("{:.{}f}", value.get<double>(), digits);
  };
  const Json& memory = json["memory"];
  std::string text = fmt::format(
      "{} on {}\nmeasured: read {} GB/s, copy {} GB/s, f16 products {} TFLOP/s\n"
      "memory: weights {}, cache {}, scratch {}, workspace {}; host at most {}; loaded in {:.2f} "
      "s\n",
      json["model"].get<std::string>(), json["device"].get<std::string>(),
      figure(json["measured_bandwidth_gbs"], 1), figure(json["measured_copy_gbs"], 1),
      figure(json["measured_f16_tflops"], 3), format_bytes(memory["weights"]),
      format_bytes(memory["cache"]), format_bytes(memory["scratch"]),
      format_bytes(memory["workspace"]), format_bytes(json["peak_host_bytes"]),
      json["load_seconds"].get<double>());
  text += fmt::format("{:>8} {:>6} {:>8} {:>12} {:>9} {:>9}\n", "kind", "batch", "context",
                      "tokens/s", "GB/s", "of ideal");
  for (const Json& row : json["rows"])
    text += fmt::format("{:>8} {:>6} {:>8} {:>12.1f} {:>9.2f} {:>9}\n",
                        row["kind"].get<std::string>(), row["batch"].get<uint32_t>(),
                        row["context"].get<uint32_t>(), row["tokens_per_s"].get<double>(),
                        row["gbs"].get<double>(), figure(row["fraction_of_ideal"], 3));
  return text;
}

std::vector<BenchRow> run_all(Runtime& runtime, const BenchPlan& plan) {
  clear_cache(runtime);
  std::vector<BenchRow> rows;
  for (const uint32_t context : plan.contexts) rows.push_back(bench_prefill(runtime, context));
  for (const uint32_t batch : plan.batches)
    for (const uint32_t context : plan.contexts)
      rows.push_back(bench_decode(runtime, {batch, context, plan.decode_steps}));
  return rows;
}

int bench_weights(const BenchArguments& arguments, const Config& config, const std::string& name,
                  const WeightSource& weights) {
  const uint32_t most = config.context.length.value_or(weights.config().max_position);
  const BenchPlan plan = make_plan(arguments, most);
  RuntimeSettings settings;
  settings.config = config;
  settings.config.context.length = plan.context_length;
  settings.max_sequences = *std::ranges::max_element(plan.batches);
  settings.max_wanted = settings.max_sequences;
  OpenModel model = open_weights(arguments.common, std::move(settings), weights);

  const StopRequest stop;
  BenchResult result{.model = name, .rows = run_all(model.runtime, plan)};
  // Before the device is measured, which takes memory of its own.
  result.peak_host_bytes = peak_host_bytes();
  result.ceiling = measure_ceiling(*model.runtime.device().device);
  const Json json = bench_json(model.runtime, result);
  arguments.common.json ? print_json(json) : print(bench_text(json));
  return 0;
}

}  // namespace

int bench(const BenchArguments& arguments) {
  const CommonArguments& common = arguments.common;
  if (!arguments.shape.empty()) {
    const ModelConfig shape = find_shape(arguments.shape);
    const std::string quant = arguments.quant.empty() ? "gptq4-g32-act" : arguments.quant;
    const auto weights = make_synthetic(shape, parse_quant(quant), 1);
    return bench_weights(arguments, config_without_file(common, "."),
                         fmt::format("{}, random {} weights", arguments.shape, quant), *weights);
  }
  if (common.target.empty())
    throw Error(ExitCode::usage, "command line", "neither CONFIG nor --shape was given",
                "See `ropewalk bench --help`");
  const Config config = open_config(common);
  const std::unique_ptr<Checkpoint> checkpoint = Checkpoint::open(config.model);
  return bench_weights(arguments, config, config.model.string(), CheckpointWeights(*checkpoint));
}

}  // namespace ropewalk
