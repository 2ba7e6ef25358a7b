// batch.cpp — `ropewalk batch CONFIG --input F --output F`: answers a file of questions in the form
// of OpenAI's Batch API.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "apps/commands.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/serve/hosted_model.h"
#include "apps/signals.h"
#include "core/batch/batch_run.h"
#include "core/digest/sha256.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

// Some lines failed, and everything else is well.
constexpr int kSomeFailed = 1;

struct RunFigures {
  uint64_t lines = 0, new_tokens = 0;
  double seconds = 0;

  double tokens_per_s() const {
    return seconds > 0 ? static_cast<double>(new_tokens) / seconds : 0;
  }
};

// A batch asks as much as it likes and waits for as long as it takes.
Config without_limits(Config config) {
  constexpr uint32_t kNone = 1 << 30;
  config.serve.queue_requests = kNone;
  config.serve.queue_prompt_tokens = kNone;
  config.serve.queue_seconds = kNone;
  config.serve.max_request_seconds = kNone;
  return config;
}

std::string config_value_text(const ConfigValue& value) {
  std::string text = Json(value.text).dump();
  for (const ConfigValue& item : value.items) text += "," + config_value_text(item);
  for (const ConfigEntry& entry : value.entries)
    text += "," + entry.key + "{" + config_value_text(entry.value) + "}";
  return text;
}

// What the configuration says that decides what an answer is, beside the model and its device,
// which a fingerprint names. How many run at a time may change.
std::string settings_of(const Config& config) {
  constexpr std::array<std::string_view, 4> kElsewhere = {"model", "backend", "plugins", "serve"};
  constexpr std::array<std::string_view, 9> kOfServe = {"model_name", "aliases",  "any_model",
                                                        "strict",     "tolerate", "sampling",
                                                        "presets",    "chat",     "truncate"};
  std::string text;
  for (const ConfigEntry& entry : config.tree.entries)
    if (std::ranges::find(kElsewhere, entry.key) == kElsewhere.end())
      text += entry.key + "{" + config_value_text(entry.value) + "}";
  if (const ConfigValue* serve = config.tree.find("serve"))
    for (const std::string_view key : kOfServe)
      if (const ConfigValue* value = serve->find(key))
        text += std::string(key) + "{" + config_value_text(*value) + "}";
  for (const SamplingPreset& preset : config.serve.presets)
    text += preset.name + "{" + sha256(read_input(preset.file)) + "}";
  return text;
}

// Loads the model and asks what the ledger lacks of `questions`.
RunFigures answer(const BatchArguments& arguments, const Config& config, const batch::Shard& shard,
                  uint64_t questions, batch::Ledger& ledger, const StopRequest& stop) {
  HostedModel model(arguments.common, config);
  ledger.bind(sha256(model.fingerprint() + settings_of(config)));
  serve::Service service(
      {.config = config, .keys = {"", ""}, .version = ROPEWALK_VERSION, .log = {}});
  model.serve_with(service);
  const std::vector<http::Route> routes = service.routes();
  batch::BatchInput input(arguments.input, shard);

  const Clock::time_point start = Clock::now();
  const uint64_t before = ledger.lines();
  const auto figures = [&] {
    return RunFigures{.lines = ledger.lines() - before,
                      .new_tokens = model.scheduler().metrics().generation_tokens,
                      .seconds = std::chrono::duration<double>(Clock::now() - start).count()};
  };
  const Progress::Settings where = progress_for(arguments.common);
  Progress line("batch", where);
  batch::RunSettings settings;
  settings.in_flight = arguments.max_in_flight.value_or(2 * model.slots());
  settings.finished = model.slots();
  settings.stopped = [&] { return stop.flag().load(); };
  settings.failure = [&] { return model.scheduler().failure(); };
  settings.moment = [&] {
    if (!where.where) return;
    const RunFigures now = figures();
    line.show(static_cast<double>(now.lines) / static_cast<double>(questions - before),
              fmt::format("{} of {} lines, {} failed  {:.1f} tokens/s", ledger.lines(), questions,
                          ledger.failed(), now.tokens_per_s()));
  };
  batch::run_batch(input, ledger, routes, settings);
  model.scheduler().wait_idle(Seconds(1));  // then its counts are the last ones
  return figures();
}

Json batch_json(uint64_t questions, const batch::Ledger& ledger, const RunFigures& figures) {
  return {{"lines", questions},
          {"answered", ledger.lines() - ledger.failed()},
          {"failed", ledger.failed()},
          {"left", questions - ledger.lines()},
          {"run",
           {{"lines", figures.lines},
            {"new_tokens", figures.new_tokens},
            {"seconds", figures.seconds},
            {"tokens_per_s", figures.tokens_per_s()}}}};
}

std::string batch_text(uint64_t questions, const batch::Ledger& ledger, const RunFigures& figures) {
  return fmt::format(
      "{} lines: {} answered, {} failed, {} left\n"
      "this run: {} lines, {} tokens in {:.1f} s, {:.1f} tokens/s\n",
      questions, ledger.lines() - ledger.failed(), ledger.failed(), questions - ledger.lines(),
      figures.lines, figures.new_tokens, figures.seconds, figures.tokens_per_s());
}

}  // namespace

int answer_batch(const BatchArguments& arguments) {
  const batch::Shard shard = batch::parse_shard(arguments.shard);
  const Config config = without_limits(open_config(arguments.common));
  const batch::InputFacts input = batch::check_input(arguments.input, shard);
  const Json belongs = {{"input", input.digest},
                        {"shard", fmt::format("{}/{}", shard.index, shard.count)}};
  batch::LedgerFiles files{.output = arguments.output, .errors = {}};
  if (arguments.errors) files.errors = *arguments.errors;
  batch::Ledger ledger(
      files, belongs,
      arguments.retry_errors ? batch::FailedLines::ask_again : batch::FailedLines::keep);
  const StopRequest stop;  // a second signal ends the program at once
  RunFigures figures;
  if (ledger.lines() < input.questions)
    figures = answer(arguments, config, shard, input.questions, ledger, stop);
  if (arguments.common.json)
    print_json(batch_json(input.questions, ledger, figures));
  else
    print(batch_text(input.questions, ledger, figures));
  if (ledger.lines() < input.questions) return 128 + stop.signal();
  return ledger.failed() > 0 ? kSomeFailed : 0;
}

}  // namespace ropewalk
