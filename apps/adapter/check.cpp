// check.cpp — `ropewalk adapter check DIR [--base CONFIG] [--text F]`: what an adapter is, whether
// it belongs to a model, and what it does to a text.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "apps/adapter/adapter_commands.h"
#include "apps/adapter/adapter_input.h"
#include "apps/evaluation/dataset_input.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/adapter/base_fit.h"
#include "core/adapter/run_time.h"
#include "core/base/error.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/json/json.h"
#include "core/model/families.h"

namespace ropewalk {
namespace {

constexpr uint32_t kMaxWindow = 2048;   // tokens
constexpr uint32_t kCheckedRows = 128;  // of logits in memory: 16 MB for a vocabulary of 32,000

// With an adapter of its own base a text of its subject does not become less likely.
constexpr double kWorse = 1.02;

Json modules_json(const std::vector<Effect>& effects) {
  Json list = Json::array();
  for (const Effect& effect : effects)
    list.push_back(
        {{"name", effect.pair->module},
         {"rank", effect.pair->rank},
         {"scale", effect.pair->scale},
         {"norm", effect.change},
         {"relative_norm",
          effect.weight && *effect.weight > 0 ? Json(effect.change / *effect.weight) : nullptr}});
  return list;
}

uint64_t parameters_of(const Adapter& adapter) {
  uint64_t count = 0;
  for (const LowRank& pair : adapter.low_ranks()) {
    count += uint64_t{pair.rank} * (pair.rows + pair.cols);
    for (const TensorInfo* vector : {pair.bias, pair.magnitude}) count += vector ? pair.rows : 0;
  }
  const auto add = [&](const TensorInfo& tensor) {
    count += tensor.bytes / stored_size(tensor.type);
  };
  for (const Replacement& replacement : adapter.replacements()) add(*replacement.tensor);
  for (const TokenRows& rows : adapter.token_rows()) add(*rows.tensor);
  return count;
}

std::string merge_verdict(const Adapter& adapter, const Checkpoint* base) {
  if (base && base->quantization()) return "no: the base is quantised";
  for (const LowRank& pair : adapter.low_ranks())
    if (base && pair.bias && !base->find(pair.module + ".bias"))
      return fmt::format("no: it adds to the bias of {}, which the base does not have",
                         pair.module);
  if (adapter.config().dora) return "alone: it is a DoRA";
  if (!adapter.replacements().empty() || !adapter.token_rows().empty())
    return "yes, unscaled: it brings whole tensors";
  return "yes";
}

std::string run_time_verdict(const Adapter& adapter) {
  const std::string refusal = run_time_refusal(adapter);
  return refusal.empty() ? "yes" : "no: it " + refusal;
}

Json adapter_json(const Adapter& adapter, const Checkpoint* base,
                  const std::vector<Effect>& effects) {
  const AdapterConfig& config = adapter.config();
  Json whole = Json::array(), coverage = nullptr;
  for (const Replacement& replacement : adapter.replacements()) whole.push_back(replacement.name);
  if (base) {
    const Coverage counts = coverage_of(adapter, *base);
    coverage = {{"adapted", counts.adapted}, {"of", counts.linears}};
  }
  uint64_t rows = 0;
  for (const TokenRows& token_rows : adapter.token_rows()) rows += token_rows.ids.size();
  return {{"adapter", adapter.directory().string()},
          {"base_model_name_or_path", config.base_name},
          {"rank", config.rank},
          {"alpha", config.alpha},
          {"rslora", config.rslora},
          {"dora", config.dora},
          {"parameters", parameters_of(adapter)},
          {"coverage", coverage},
          {"whole_tensors", whole},
          {"token_rows", rows},
          {"merge", merge_verdict(adapter, base)},
          {"run_time", run_time_verdict(adapter)},
          {"modules", modules_json(effects)}};
}

// What is measured: a model, with the adapters of the settings or without any.
struct MeasuredModel {
  const Checkpoint& checkpoint;
  RuntimeSettings settings;
  std::string title;
};

double perplexity_of(const CommonArguments& common, const MeasuredModel& subject,
                     const std::vector<ScoredWindow>& windows) {
  RuntimeSettings settings = subject.settings;
  settings.max_wanted = kCheckedRows;
  const CheckpointWeights weights(subject.checkpoint);
  OpenModel model = open_weights(common, std::move(settings), weights);
  PerplexitySum sum;
  Progress line("perplexity " + subject.title, progress_for(common));
  WindowEvents events;
  events.scores = [&](size_t, std::span<const double> logprobs) {
    for (const double logprob : logprobs) sum.add(logprob);
  };
  events.progress = [&](uint64_t done, uint64_t total) {
    throw_if_stopped();
    line.show(static_cast<double>(done) / static_cast<double>(total), "");
  };
  score_windows(model.runtime, windows, events);
  return sum.result().value();
}

Json text_json(const AdapterCheckArguments& arguments, const Adapter& adapter,
               const Checkpoint& base) {
  Config config = open_base_config(arguments.common, *arguments.base);
  const Dataset dataset = read_dataset({.text = arguments.text}, config, Protocol::chunk);
  size_t tokens = 0;
  for (const auto& text : dataset.texts) tokens = std::max(tokens, text.size());
  const auto length = static_cast<uint32_t>(std::clamp<uint64_t>(
      std::min<uint64_t>(config.context.length.value_or(base.config().max_position), tokens), 2,
      kMaxWindow));
  config.context.length = length;
  const auto windows = windows_of(dataset, {Protocol::chunk, length, 1, {}});
  RuntimeSettings settings;
  settings.config = config;
  settings.config.adapter = kNoAdapterName;
  MeasuredModel with{base, settings, "with the adapter"};
  // A quantised base runs with it, any other has it in its weights.
  std::optional<MergedCheckpoint> merged;
  if (base.quantization()) {
    with.settings.adapters = {{"checked", open_for_run(adapter.directory(), 1, base)}};
    with.settings.config.adapter = "checked";
  } else {
    merged.emplace(base, MergeSettings{{{&adapter, 1}}});
  }
  if (merged && merged->new_vocabulary())
    throw Error(ExitCode::usage, adapter.directory().string(),
                "brings tables of another size, so the text has other ids without it",
                "Leave out --text; merge it and measure with `ropewalk perplexity`");
  const StopRequest stop;
  const double without = perplexity_of(arguments.common, {base, settings, "without"}, windows);
  const double changed = perplexity_of(
      arguments.common,
      merged ? MeasuredModel{*merged, settings, "with the adapter"} : std::move(with), windows);
  return {{"dataset_sha256", dataset.sha256},
          {"context", length},
          {"without", without},
          {"with", changed}};
}

std::string report(const Json& answer) {
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<14} {}\n", name, value);
  };
  add("adapter", answer["adapter"].get<std::string>());
  add("made for", printable(answer["base_model_name_or_path"].get<std::string>()));
  add("rank, alpha",
      fmt::format("{}, {}{}{}", answer["rank"].get<uint32_t>(), answer["alpha"].get<double>(),
                  answer["rslora"].get<bool>() ? ", rsLoRA" : "",
                  answer["dora"].get<bool>() ? ", DoRA" : ""));
  add("parameters", answer["parameters"].dump());
  if (!answer["coverage"].is_null())
    add("changes", fmt::format("{} of {} linear layers", answer["coverage"]["adapted"].dump(),
                               answer["coverage"]["of"].dump()));
  for (const Json& name : answer["whole_tensors"]) add("whole", name.get<std::string>());
  if (answer["token_rows"] != 0) add("token rows", answer["token_rows"].dump());
  add("merge", answer["merge"].get<std::string>());
  add("run time", answer["run_time"].get<std::string>());
  if (answer.contains("perplexity"))
    add("perplexity", fmt::format("{:.4f} without, {:.4f} with, windows of {}",
                                  answer["perplexity"]["without"].get<double>(),
                                  answer["perplexity"]["with"].get<double>(),
                                  answer["perplexity"]["context"].dump()));
  text +=
      fmt::format("\n{:>5} {:>10} {:>11} {:>11}  module\n", "rank", "scale", "|sBA|", "|sBA|/|W|");
  for (const Json& row : answer["modules"])
    text += fmt::format("{:>5} {:>10.4g} {:>11.4g} {:>11}  {}\n", row["rank"].get<uint32_t>(),
                        row["scale"].get<double>(), row["norm"].get<double>(),
                        row["relative_norm"].is_null()
                            ? "-"
                            : fmt::format("{:.3e}", row["relative_norm"].get<double>()),
                        row["name"].get<std::string>());
  return text;
}

}  // namespace

int adapter_check(const AdapterCheckArguments& arguments) {
  const Adapter adapter(arguments.adapter);
  std::unique_ptr<Checkpoint> base;
  if (arguments.base) {
    base = Checkpoint::open(open_base_config(arguments.common, *arguments.base).model,
                            config_families());
    check_fit(adapter, *base);
  }
  const std::vector<Effect> effects = effects_of(adapter, base.get());
  std::vector<std::string> doubts = doubts_of(adapter, base.get(), effects);
  Json answer = adapter_json(adapter, base.get(), effects);
  if (arguments.text) {
    const Json& measured = answer["perplexity"] = text_json(arguments, adapter, *base);
    if (measured["with"].get<double>() > kWorse * measured["without"].get<double>())
      doubts.push_back(
          fmt::format("{}: the text is less likely with the adapter than without; it may be for "
                      "another base of "
                      "the same shape",
                      arguments.adapter));
  }
  answer["doubts"] = doubts;
  warn_of(doubts);
  arguments.common.json ? print_json(answer) : print(report(answer));
  return 0;
}

}  // namespace ropewalk
