#include "apps/serve/serving.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "apps/open.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/log.h"
#include "core/serve/fingerprint.h"
#include "core/serve/request/chain_edit.h"

namespace ropewalk {
namespace {

// Rows of logits that a step reads at most: replies, and tokens of a text to be scored.
constexpr uint32_t kWantedRows = 64;

serve::Keys read_keys(const Config& config) {
  const char* listed = std::getenv("ROPEWALK_API_KEYS");
  return {config.serve.keys_file, listed ? listed : ""};
}

// A line is one write, so that lines of several threads do not mix.
void write_line(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

serve::ServiceSettings service_settings(const ServeArguments& arguments, const Config& config) {
  serve::ServiceSettings settings{
      .config = config, .keys = read_keys(config), .version = ROPEWALK_VERSION, .log = {}};
  serve::check_exposure(config.serve, settings.keys);
  if (!arguments.common.quiet) settings.log = write_line;
  return settings;
}

ScheduleSettings schedule_settings(const Config& config, uint32_t context) {
  const ServeConfig& serve = config.serve;
  ScheduleSettings settings;
  settings.max_waiting = serve.queue_requests;
  settings.max_waiting_tokens = serve.queue_prompt_tokens.value_or(8 * context);
  settings.queue_time = Seconds(serve.queue_seconds);
  settings.prefixes =
      serve.prefix_cache == PrefixCacheUse::off ? PrefixCaching::off : PrefixCaching::on;
  settings.sampling_threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  return settings;
}

// Everything that decides which tokens a request gets.
std::string fingerprint_of(Engine& engine) {
  const Config& config = engine.config();
  const Runtime& runtime = engine.runtime();
  std::string rope = runtime.rope().plugin.name;
  for (const ConfigEntry& option : runtime.rope().plugin.options)
    rope += fmt::format(" {}={}", option.key, option.value.text);
  const std::string parts[] = {ROPEWALK_VERSION,
                               serve::model_identity(config.model),
                               runtime.device().name(),
                               fmt::format("{}", static_cast<int>(config.context.kv_cache)),
                               rope,
                               fmt::format("{}", runtime.context_length()),
                               fmt::format("{}", engine.tokenizer().legacy())};
  return serve::fingerprint(parts);
}

}  // namespace

Serving::Serving(const ServeArguments& arguments, Config config)
    : arguments_(arguments),
      config_(std::move(config)),
      service_(service_settings(arguments, config_)),
      http_(std::make_unique<http::Server>(
          http::Settings{.listen = {config_.serve.listen}, .limits = {}}, service_.routes(),
          service_.hooks())) {
  service_.watch(*http_);
  if (!config_.serve.keys_file.empty()) reload_.emplace();
}

void Serving::reload_if_asked() {
  if (reload_ && reload_->take()) service_.reload_keys();
}

Serving::~Serving() {
  http_->stop();
  if (scheduler_) scheduler_->stop();
}

void Serving::load() {
  Registry registry = make_registry(config_);
  serve::SamplerManual manual = serve::read_manual(registry, config_);
  std::vector<std::string> samplers;
  for (const auto& [name, description] : manual) samplers.push_back(name);

  const ServeConfig& serve = config_.serve;
  RuntimeSettings settings;
  settings.config = config_;
  settings.max_sequences = serve.max_sequences.value_or(0);
  settings.max_wanted = std::max(settings.max_sequences, kWantedRows);
  settings.cache_pages = KvCache::pages_for(serve.cache_tokens.value_or(0));
  settings.cache_fit = serve.cache_tokens ? CacheFit::as_asked : CacheFit::free_memory;
  Progress progress("loading the model", ProgressUnit::bytes, progress_for(arguments_.common));
  settings.load_progress = [&](uint64_t done, uint64_t total) {
    throw_if_stopped();
    progress.show(done, total);
  };
  engine_ = std::make_unique<Engine>(settings);
  throw_if_stopped();
  const OpenDevice& device = engine_->runtime().device();
  const std::string dependence = device.batch_dependence();
  if (serve.deterministic && !dependence.empty())
    throw Error(ExitCode::usage, "serve.deterministic",
                fmt::format("on {} the bits of a reply may depend on who else is served: {}",
                            device.name(), dependence),
                "Set backend: cpu, or remove serve.deterministic");
  const WarmUp warm = engine_->runtime().executor().warm_up();
  verbose(fmt::format("compiled {} programs in {:.1f} s", warm.programs, warm.seconds));
  throw_if_stopped();

  const uint32_t context = engine_->runtime().context_length();
  scheduler_ =
      std::make_unique<Scheduler>(serve_engine(*engine_), schedule_settings(config_, context));
  scheduler_->start();
  service_.serve({.model = {.config = service_.config(),
                            .text = engine_->text(),
                            .context_length = context,
                            .vocab = engine_->sampled_vocab(),
                            .name = service_.model_name(),
                            .fingerprint = fingerprint_of(*engine_),
                            .batch_invariant = dependence.empty(),
                            .created = service_.started(),
                            .samplers = std::move(samplers)},
                  .scheduler = *scheduler_,
                  .manual = std::move(manual),
                  .model_folder = config_.model.filename().string(),
                  .slots = engine_->runtime().executor().max_sequences()});
}

http::Ended Serving::drain(uint32_t seconds) {
  http_->drain(std::chrono::seconds(seconds));
  return http_->wait();
}

}  // namespace ropewalk
