// bench.cpp — `ropewalk bench`: speed, beside the device's limits.
//
// An ideal decode step reads the weights, as a checkpoint stores them, and the cached keys and
// values once, at the bandwidth measured in the same run. An ideal prefill does its arithmetic at
// the measured rate.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>

#include "apps/bench/bench_plan.h"
#include "apps/bench/bench_report.h"
#include "apps/bench/bench_runs.h"
#include "apps/commands.h"
#include "apps/open.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/config/model_path.h"
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

ModelConfig find_shape(const BenchArguments& arguments) {
  std::optional<ModelConfig> shape = known_shape(arguments.shape);
  if (!shape) {
    std::vector<std::string> names;
    for (const std::string_view known : known_shapes()) names.emplace_back(known);
    throw Error(ExitCode::usage, "--shape", fmt::format("found {}", printable(arguments.shape)),
                suggestion(arguments.shape, names));
  }
  if (arguments.layers > shape->layers)
    throw Error(ExitCode::usage, "--layers", fmt::format("found {}", arguments.layers),
                fmt::format("{} has {}", arguments.shape, shape->layers));
  if (arguments.layers) shape->layers = arguments.layers;
  return *shape;
}

std::string shape_of(const BenchArguments& arguments) {
  const std::string of = arguments.layers
                             ? fmt::format("{} layers of {}", arguments.layers, arguments.shape)
                             : arguments.shape;
  return fmt::format("{}, random {} weights", of, quant_of(arguments));
}

// The peak resident memory of this process; 0 where the kernel does not tell.
uint64_t peak_host_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t kib = 0;
  while (status >> word)
    if (word == "VmHWM:" && status >> kib) break;
  return kib * 1024;
}

// Resets the peak to the present use. Has no effect where the kernel cannot do that.
void forget_peak_host_bytes() { std::ofstream("/proc/self/clear_refs") << "5"; }

using TakeRow = std::function<void(const BenchRow&)>;

// `progress` says what is measured; it is not drawn meanwhile, which would cost time.
void run_all(Runtime& runtime, const BenchPlan& plan, Progress& progress, const TakeRow& take) {
  const size_t rows = plan.prefills.size() + plan.decodes.size();
  size_t done = 0;
  const auto measure = [&](const std::string& what, const auto& row) {
    progress.show(static_cast<double>(done++) / static_cast<double>(rows), what);
    const BenchRow measured = row();
    progress.clear();
    take(measured);
  };
  fill_cache(runtime);
  for (const uint32_t tokens : plan.prefills)
    measure(fmt::format("prefill of {}", tokens), [&] { return bench_prefill(runtime, tokens); });
  for (const DecodeRun& run : plan.decodes)
    measure(fmt::format("decode, batch {} after {}", run.batch, run.context),
            [&] { return bench_decode(runtime, run); });
}

Progress::Settings at_once(const CommonArguments& arguments) {
  Progress::Settings settings = progress_for(arguments);
  settings.patience = {};
  return settings;
}

// The model and the device to measure.
struct BenchSubject {
  std::string name;
  const Config& config;
  const WeightSource& weights;
};

RuntimeSettings bench_settings(const BenchArguments& arguments, const BenchSubject& subject,
                               const BenchPlan& plan) {
  RuntimeSettings settings;
  settings.config = subject.config;
  settings.config.context.length = plan.context_length();
  settings.max_sequences = settings.max_wanted = plan.batch();
  settings.cache_pages = plan.pages();
  if (!settings.config.adapter_slots) settings.config.adapter_slots = arguments.adapters;
  for (uint32_t i = 0; i < arguments.adapters; ++i)
    settings.adapters.push_back(
        {fmt::format("random{}", i),
         make_synthetic_adapter(subject.weights.config(), arguments.adapter_rank, i)});
  return settings;
}

// Drops rows from the plan until it fits; that is known before anything is allocated.
OpenModel open_what_fits(const BenchArguments& arguments, const BenchSubject& subject,
                         BenchPlan& plan) {
  for (;;) {
    try {
      return open_weights(arguments.common, bench_settings(arguments, subject, plan),
                          subject.weights);
    } catch (const Error& error) {
      if (error.code() != ExitCode::out_of_memory || !plan.leave_out_largest()) throw;
      const DecodeRun& run = plan.left_out.back();
      note(fmt::format("a batch of {} with {} tokens each does not fit", run.batch, run.context));
    }
  }
}

// Measures the ceilings first, so that each row is printed with its fraction. The measurement's
// memory is freed before the model is loaded and does not count for it.
void bench_weights(const BenchArguments& arguments, const BenchSubject& subject, BenchPlan plan,
                   BenchReport& report) {
  const std::unique_ptr<TraceFile> trace = open_trace(arguments.common);
  OpenModel model = open_what_fits(arguments, subject, plan);
  const uint64_t peak_of_loading = peak_host_bytes();
  const Ceiling ceiling = measure_ceiling(*model.runtime.device().device);
  forget_peak_host_bytes();
  if (trace) model.runtime.trace_to(*trace, ceiling);
  report.begin(subject.name, model.runtime, ceiling);
  Progress progress("bench", at_once(arguments.common));
  run_all(model.runtime, plan, progress, [&](const BenchRow& row) { report.add_row(row); });
  for (const DecodeRun& run : plan.left_out) report.add_left_out(run);
  report.set_peak_host_bytes(std::max(peak_of_loading, peak_host_bytes()));
}

uint32_t context_limit(const Config& config, const WeightSource& weights) {
  return config.context.length.value_or(weights.config().trained_length);
}

// The table would take hours on a CPU.
BenchDefault default_for(const Config& config) {
  Registry registry = make_registry(config);
  const abi::DeviceType type = open_device(registry, config.backend).device->info().type;
  const bool slow = type == abi::DeviceType::cpu || type == abi::DeviceType::software;
  return slow ? BenchDefault::one_row : BenchDefault::table;
}

// The same shape without act-order, for the first decode row.
void bench_in_order(const BenchArguments& arguments, const Config& config, const DecodeRun& run,
                    BenchReport& report) {
  SyntheticQuant quant = *parse_quant(quant_of(arguments));
  quant.act_order = false;
  const auto weights = make_synthetic(find_shape(arguments), quant, 1);
  BenchPlan plan;
  plan.decodes = {run};
  const BenchSubject subject{"in order", config, *weights};
  OpenModel model = open_what_fits(arguments, subject, plan);
  Progress progress("bench", at_once(arguments.common));
  run_all(model.runtime, plan, progress,
          [&](const BenchRow& row) { report.set_in_order(row.tokens_per_s); });
}

void bench_shape(const BenchArguments& arguments, BenchReport& report) {
  const Config config = config_without_file(arguments.common, ".");
  const std::optional<SyntheticQuant> quant = parse_quant(quant_of(arguments));
  const auto weights = make_synthetic(find_shape(arguments), quant, 1);
  const bool asked = !arguments.prompts.empty() || !arguments.batches.empty();
  const BenchDefault fallback = asked ? BenchDefault::one_row : default_for(config);
  const BenchSubject subject{shape_of(arguments), config, *weights};
  const BenchPlan plan =
      make_bench_plan(arguments, fallback, config, context_limit(config, *weights));
  bench_weights(arguments, subject, plan, report);
  if (fallback == BenchDefault::table && quant && quant->act_order)
    bench_in_order(arguments, config, plan.decodes.front(), report);
}

void bench_checkpoint(const BenchArguments& arguments, BenchReport& report) {
  const CommonArguments& common = arguments.common;
  if (common.target.empty())
    throw Error(ExitCode::usage, "command line", "neither CONFIG nor --shape was given",
                "See `ropewalk bench --help`");
  const Config config = open_config(common);
  require_model(config.model, config.hub_name);
  const std::unique_ptr<Checkpoint> checkpoint = Checkpoint::open(config.model, config_families());
  const CheckpointWeights weights(*checkpoint);
  bench_weights(
      arguments, {config.model.string(), config, weights},
      make_bench_plan(arguments, BenchDefault::one_row, config, context_limit(config, weights)),
      report);
}

}  // namespace

int bench(const BenchArguments& arguments) {
  const StopRequest stop;
  BenchReport report(arguments.common.json ? BenchOutput::json : BenchOutput::text);
  if (arguments.shape.empty())
    bench_checkpoint(arguments, report);
  else
    bench_shape(arguments, report);
  report.end();
  return 0;
}

}  // namespace ropewalk
