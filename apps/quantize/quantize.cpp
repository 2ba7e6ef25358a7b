// quantize.cpp — `ropewalk quantize BASE --out DIR --calibration F`: a GPTQ model of a dense one.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "apps/model_files.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/quantize/calibration_adapter.h"
#include "apps/quantize/calibration_input.h"
#include "apps/quantize/quantize_config.h"
#include "apps/quantize/quantize_options.h"
#include "apps/quantize/self_calibration.h"
#include "apps/quantize/source_digest.h"
#include "apps/save_file.h"
#include "apps/signals.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/model_path.h"
#include "core/digest/sha256.h"
#include "core/engine/engine.h"
#include "core/json/json.h"
#include "core/model/families.h"

namespace ropewalk {
namespace {

constexpr uint32_t kDefaultLength = 2048;

std::vector<quantize::WindowKind> window_kinds(const QuantizeArguments& arguments,
                                               const Config& config, const ModelConfig& model) {
  const uint32_t context = config.context.length.value_or(model.trained_length);
  std::vector<uint32_t> lengths = arguments.lengths;
  if (lengths.empty()) lengths = {std::min(kDefaultLength, context)};
  const std::vector<uint32_t>& samples = arguments.samples;
  if (samples.size() != 1 && samples.size() != lengths.size())
    throw Error(ExitCode::usage, "--samples",
                fmt::format("found {} counts for {} lengths", samples.size(), lengths.size()),
                "Give one for each --length, or one for all");
  std::vector<quantize::WindowKind> kinds;
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] > context)
      throw Error(ExitCode::limit, "--length",
                  fmt::format("found {}, the model's context has {}", lengths[i], context),
                  "Take a shorter one, or set context.length and rope");
    kinds.push_back({lengths[i], samples[samples.size() == 1 ? 0 : i]});
  }
  return kinds;
}

void check_out(const std::filesystem::path& out, const std::filesystem::path& base) {
  std::error_code error;
  const auto inner = std::filesystem::weakly_canonical(out, error);
  const auto outer = std::filesystem::weakly_canonical(base, error);
  const auto [end, at] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  if (end == outer.end())
    throw Error(ExitCode::usage, out.string(), "lies within the model that is quantised",
                "Choose another directory");
}

// By what the layers' inputs are found.
struct Calibrated {
  std::string ids_sha256;
  Json adapter;  // facts of the CalibrationAdapter
};

// What a run depends on beside the code: another value, and an interrupted run is not gone on with.
Json run_fingerprint(const QuantizeArguments& arguments, const Checkpoint& base,
                     const Calibrated& calibrated, const LayerDevice& on,
                     const abi::QuantizeSolver* solver) {
  std::string names;
  Json files = Json::object();
  for (const TensorInfo& tensor : base.tensors()) {
    names += fmt::format("{} {} {}\n", tensor.name, stored_name(tensor.type), tensor.bytes);
    if (files.contains(tensor.file)) continue;
    const std::filesystem::path path = base.directory() / tensor.file;
    files[tensor.file] = {
        {"bytes", std::filesystem::file_size(path)},
        {"modified", std::filesystem::last_write_time(path).time_since_epoch().count()}};
  }
  return {{"version", ROPEWALK_VERSION},
          {"settings", settings_json(arguments)},
          {"source", {{"tensors_sha256", sha256(names)}, {"files", files}}},
          {"calibration_sha256", calibrated.ids_sha256},
          {"adapter", calibrated.adapter},
          {"device", on.name()},
          {"solver", solver_name(solver)},
          {"kv_cache", static_cast<int>(on.kv_type())}};
}

std::string duration(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  if (seconds < 5400) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

// A line or an object for each matrix, as it is done, and the progress below.
class Lines {
 public:
  Lines(const CommonArguments& common, uint32_t layers, double done)
      : json_(common.json),
        layers_(layers),
        first_(done),
        done_(done),
        progress_("quantizing", progress_for(common)) {}

  void tick() { progress_.show(done_, last_); }
  void show(const MatrixReport& matrix, double done) {
    progress_.clear();
    done_ = done;
    last_ = matrix.name;
    const double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const double left = done > first_ ? elapsed * (1 - done) / (done - first_) : 0;
    if (json_) {
      print_json({{"matrix", matrix.name},
                  {"error", matrix.error},
                  {"rtn_error", matrix.nearest},
                  {"method", matrix.rounded ? "rtn" : "gptq"},
                  {"damp", matrix.damp},
                  {"dead_columns", matrix.dead},
                  {"seconds", matrix.seconds},
                  {"done", done},
                  {"seconds_left", left}});
      return;
    }
    // model.layers.7.mlp.down_proj: layer 8, mlp.down_proj
    const std::string rest = matrix.name.substr(std::string("model.layers.").size());
    const size_t dot = rest.find('.');
    print(fmt::format("layer {}/{}  {:<16}  e {:.5f}  rtn {:.5f}  {:.1f} s  {:.0f} %, {} left\n",
                      std::stoul(rest.substr(0, dot)) + 1, layers_, rest.substr(dot + 1),
                      matrix.error, matrix.nearest, matrix.seconds, 100 * done, duration(left)));
  }

 private:
  bool json_;
  uint32_t layers_;
  double first_, done_;
  std::string last_;  // matrix
  Progress progress_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

double mean_of(const Json& matrices, const char* field) {
  double sum = 0;
  for (const Json& matrix : matrices) sum += matrix[field].get<double>();
  return matrices.empty() ? 0 : sum / static_cast<double>(matrices.size());
}

void warn_of_few(const quantize::Calibration& calibration, const ModelConfig& model) {
  const uint32_t widest = std::max(model.hidden_size, model.intermediate_size);
  if (calibration.tokens < widest)
    warn(
        fmt::format("--calibration: {} tokens are fewer than the {} inputs of the widest layer, "
                    "whose errors are then found from too little",
                    calibration.tokens, widest));
}

quantize::Calibration calibration_of(const QuantizeArguments& arguments, const Config& config,
                                     const ModelConfig& model,
                                     const std::vector<quantize::WindowKind>& kinds) {
  const bool self = std::ranges::find(arguments.calibration, "self") != arguments.calibration.end();
  if (!self) return read_calibration(arguments, config, model, kinds);
  if (arguments.calibration.size() > 1)
    throw Error(ExitCode::usage, "--calibration", "names self and files", "Give one kind");
  Progress progress("writing the calibration text", progress_for(arguments.common));
  quantize::Calibration calibration = sample_windows(
      arguments.common, config, kinds, arguments.seed, [&](uint64_t done, uint64_t total) {
        throw_if_stopped();
        progress.show_steps(done, total);
      });
  check_tokens(calibration);
  return calibration;
}

// What it will take, before it is begun. Rates are not measured for what takes a minute.
void tell_plan(const QuantizePlan& plan, const LayerDevice& on, const std::string& out) {
  constexpr double kWorthMeasuring = 2e12;  // FLOP
  std::string time;
  double rate = 0;
  if (plan.flop > kWorthMeasuring && on.device().measure(abi::Measurement::matmul_rate, &rate).ok())
    time = fmt::format("; about {} at the measured {:.3f} TFLOP/s", duration(plan.flop / rate),
                       rate / 1e12);
  const std::string values =
      plan.device_bytes > 0
          ? fmt::format(", {} of the device's memory for values between the layers",
                        format_bytes(plan.device_bytes))
          : fmt::format(" and {} more while it runs", format_bytes(plan.activation_bytes));
  note(fmt::format("{}: takes {} on the disk{}, and up to {} of memory{}", out,
                   format_bytes(plan.model_bytes), values, format_bytes(plan.host_bytes), time));
}

// Those whose inputs could not be factorised.
void refuse_rounded(const std::string& out, const Json& matrices) {
  const auto is_rounded = [](const Json& matrix) { return matrix["method"] == "rtn"; };
  const auto first = std::ranges::find_if(matrices, is_rounded);
  if (first == matrices.end()) return;
  throw Error(
      ExitCode::non_finite, out,
      fmt::format("{} matrices were rounded to the nearest codes, the first {}",
                  std::ranges::count_if(matrices, is_rounded), (*first)["name"].get<std::string>()),
      "Give more text, or go on without --strict");
}

}  // namespace

int quantize_model(const QuantizeArguments& arguments) {
  quantize::Settings settings = settings_of(arguments);
  const QuantizeMethod method = method_of(arguments);
  const uint64_t shard_bytes = shard_bytes_of(arguments);
  const Config config = open_config(arguments.common);
  require_model(config.model, config.hub_name);
  const auto base = Checkpoint::open(config.model, config_families());
  check_out(arguments.out, config.model);
  const std::vector<quantize::WindowKind> kinds = window_kinds(arguments, config, base->config());
  const StopRequest stop;
  const CalibrationAdapter beside = calibration_adapter(config, *base, throw_if_stopped);
  const quantize::Calibration calibration =
      calibration_of(arguments, config, base->config(), kinds);
  warn_of_few(calibration, base->config());
  const std::string ids = ids_text(calibration);
  const Calibrated calibrated{sha256(ids), beside.facts};
  if (!arguments.dump_calibration.empty()) save_file(arguments.dump_calibration, ids);

  Registry registry = make_registry(config);
  const uint32_t longest = std::ranges::max(kinds, {}, &quantize::WindowKind::length).length;
  const LayerDevice device(registry, config, base->config(), longest);
  const abi::DeviceInfo& info = device.info();
  abi::QuantizeSolver* solver = solver_of(arguments, device);
  settings.threads = info.type == abi::DeviceType::cpu
                         ? info.lanes
                         : std::max(1u, std::thread::hardware_concurrency());
  QuantizeJob job{.base = base.get(),
                  .on = &device,
                  .texts = &calibration.windows,
                  .settings = settings,
                  .method = method,
                  .skip = arguments.skip,
                  .true_sequential = !arguments.layer_sequential,
                  .solver = solver,
                  .device_bytes = solver ? info.memory_free / 2 : 0,
                  .asymmetric_calibration = arguments.asymmetric_calibration,
                  .beside = {beside.adapter.get(), beside.scale},
                  .shard_bytes = shard_bytes,
                  .fingerprint = run_fingerprint(arguments, *base, calibrated, device, solver),
                  .start = arguments.fresh ? quantize::Start::anew : quantize::Start::resume,
                  .report = {},
                  .tick = {}};
  std::unique_ptr<Lines> lines;
  job.tick = [&] {
    throw_if_stopped();
    if (lines) lines->tick();
  };
  job.report = [&](const MatrixReport& matrix, double done) { lines->show(matrix, done); };
  QuantizeRun run(job, arguments.out);
  if (run.done() > 0)
    note(fmt::format("{}: going on with an interrupted run, {:.0f} % are done", arguments.out,
                     100 * run.done()));
  tell_plan(run.plan(), device, arguments.out);
  if (beside.adapter)
    note(fmt::format("{}: layers see what the model computes beside the adapter {}", arguments.out,
                     beside.name));
  if (solver) note(fmt::format("{}: matrices are solved on {}", arguments.out, device.name()));
  lines = std::make_unique<Lines>(arguments.common, base->config().layers, run.done());
  run.run();
  lines.reset();

  const Json matrices = run.matrices();
  if (arguments.common.trust == Trust::refuse && method == QuantizeMethod::gptq)
    refuse_rounded(arguments.out, matrices);
  copy_tokenizer_files(config.model, run.folder());
  copy_model_documents(config.model, run.folder());
  const std::string source_sha256 = source_digest(*base, throw_if_stopped);
  add_quantize_config(arguments,
                      {source_sha256, calibrated.ids_sha256, calibration.tokens, calibrated.adapter,
                       solver, matrices},
                      config.model, run.folder());
  run.finish();
  const double error = mean_of(matrices, "error"), nearest = mean_of(matrices, "rtn_error");
  if (arguments.common.json)
    print_json({{"out", arguments.out},
                {"matrices", matrices.size()},
                {"mean_error", error},
                {"mean_rtn_error", nearest}});
  else
    print(fmt::format("{}: {} matrices, mean error {:.5f}, rounding to nearest {:.5f}\n",
                      arguments.out, matrices.size(), error, nearest));
  return 0;
}

}  // namespace ropewalk
