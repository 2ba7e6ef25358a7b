#include "apps/serve/hosted_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "apps/open.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/log.h"
#include "core/serve/fingerprint.h"

namespace ropewalk {
namespace {

// Rows of logits that a step reads at most: replies, and tokens of a text to be scored.
constexpr uint32_t kWantedRows = 64;

RuntimeSettings runtime_settings(const Config& config) {
  const ServeConfig& serve = config.serve;
  RuntimeSettings settings;
  settings.config = config;
  settings.max_sequences = serve.max_sequences.value_or(0);
  settings.max_wanted = std::max(settings.max_sequences, kWantedRows);
  settings.cache_pages = abi::pages_for(serve.cache_tokens.value_or(0), config.context.page_tokens);
  settings.cache_fit = serve.cache_tokens ? CacheFit::as_asked : CacheFit::free_memory;
  return settings;
}

// Why the bits of a reply may depend on its company; empty where they do not. Throws Error(usage)
// where the configuration does not allow it.
std::string checked_dependence(const Config& config, const OpenDevice& device) {
  std::string dependence = device.batch_dependence();
  if (config.serve.deterministic && !dependence.empty())
    throw Error(ExitCode::usage, "serve.deterministic",
                fmt::format("on {} the bits of a reply may depend on who else is served: {}",
                            device.name(), dependence),
                "Set such an option of the backend or backend: cpu, or remove serve.deterministic");
  return dependence;
}

// What of a device decides its bits: of a processor the instruction sets in use, not its name; of
// others whether they keep to one kernel.
std::string arithmetic_of(const OpenDevice& device) {
  const abi::DeviceInfo& info = device.device->info();
  if (info.type == abi::DeviceType::cpu) return fmt::format("{}: {}", device.backend, info.driver);
  return device.name() + (device.batch_dependence().empty() ? ", batch-invariant" : "");
}

std::string engine_fingerprint(Engine& engine) {
  const Config& config = engine.config();
  const Runtime& runtime = engine.runtime();
  std::string rope = runtime.rope().plugin.name;
  for (const ConfigEntry& option : runtime.rope().plugin.options)
    rope += fmt::format(" {}={}", option.key, option.value.text);
  std::vector<std::string> parts = {ROPEWALK_VERSION,
                                    serve::model_identity(config.model),
                                    arithmetic_of(runtime.device()),
                                    fmt::format("{}", static_cast<int>(config.context.kv_cache)),
                                    rope,
                                    fmt::format("{}", runtime.context_length()),
                                    fmt::format("{}", config.context.page_tokens),
                                    fmt::format("{}", engine.tokenizer().legacy())};
  for (const AdapterChoice& adapter : config.adapters)
    parts.push_back(fmt::format("{} {} {} {}", adapter.name, adapter.scale,
                                serve::model_identity(adapter.path),
                                adapter.base.empty() ? "" : serve::model_identity(adapter.base)));
  return serve::fingerprint(parts);
}

}  // namespace

ScheduleSettings schedule_settings(const Config& config, uint32_t context) {
  const ServeConfig& serve = config.serve;
  ScheduleSettings settings;
  settings.max_waiting = serve.queue_requests;
  settings.max_waiting_tokens = serve.queue_prompt_tokens.value_or(8 * context);
  settings.queue_time = Seconds(serve.queue_seconds);
  settings.prefill_share = serve.prefill_share / 100.0;
  settings.prefixes =
      serve.prefix_cache == PrefixCacheUse::off ? PrefixCaching::off : PrefixCaching::on;
  settings.sampling_threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  return settings;
}

HostedModel::HostedModel(const CommonArguments& arguments, const Config& config) {
  Registry registry = make_registry(config);
  manual_ = serve::read_manual(registry, config);
  RuntimeSettings settings = runtime_settings(config);
  Progress progress("loading the model", progress_for(arguments));
  settings.load_progress = [&](uint64_t done, uint64_t total) {
    throw_if_stopped();
    progress.show_bytes(done, total);
  };
  engine_ = std::make_unique<Engine>(settings, TextNeed::required);
  throw_if_stopped();
  batch_invariant_ = checked_dependence(config, engine_->runtime().device()).empty();
  const WarmUp warm = engine_->runtime().executor().warm_up();
  verbose(fmt::format("compiled {} programs in {:.1f} s", warm.programs, warm.seconds));
  throw_if_stopped();
  fingerprint_ = engine_fingerprint(*engine_);
  const uint32_t context = engine_->runtime().context_length();
  scheduler_ =
      std::make_unique<Scheduler>(serve_engine(*engine_), schedule_settings(config, context));
  scheduler_->start();
}

uint32_t HostedModel::slots() const { return engine_->runtime().executor().max_sequences(); }

void HostedModel::serve_with(serve::Service& service) {
  std::vector<std::string> samplers;
  for (const auto& [name, description] : manual_) samplers.push_back(name);
  service.serve({.model = {.config = service.config(),
                           .text = engine_->text(),
                           .context_length = engine_->runtime().context_length(),
                           .vocab = engine_->sampled_vocab(),
                           .name = service.model_name(),
                           .fingerprint = fingerprint_,
                           .batch_invariant = batch_invariant_,
                           .created = service.started(),
                           .samplers = std::move(samplers)},
                 .scheduler = *scheduler_,
                 .manual = std::move(manual_),
                 .model_folder = service.config().model.filename().string(),
                 .slots = slots()});
}

}  // namespace ropewalk
