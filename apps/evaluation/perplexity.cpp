// perplexity.cpp — `ropewalk perplexity CONFIG --text F --context 512,1024`: a text's perplexity by
// context length.
#include "core/eval/perplexity.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/evaluation/dataset_input.h"
#include "apps/evaluation/evaluation_commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/config/nearest.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// The logits of this many tokens are in memory at a time: 64 MB for a vocabulary of 32,000.
constexpr uint32_t kPerplexityRows = 512;
constexpr uint32_t kMaxWindows = 64;  // at a time

struct Row {
  WindowSettings settings;
  std::vector<ScoredWindow> windows = {};
  uint64_t windows_done = 0;
  PerplexitySum sum = {};
};

Protocol protocol_of(const std::string& name) {
  if (const auto protocol = protocol_named(name)) return *protocol;
  const std::vector<std::string> known = {"chunk", "hf-stride", "llamacpp", "jsonl"};
  throw Error(ExitCode::usage, "command line", fmt::format("unknown protocol {}", printable(name)),
              suggestion(name, known));
}

std::vector<Row> rows_of(const PerplexityArguments& arguments, Protocol protocol,
                         const Dataset& dataset) {
  if (arguments.stride && protocol != Protocol::hf_stride)
    throw Error(
        ExitCode::usage, "command line",
        fmt::format("--stride belongs to hf-stride, found --protocol {}", protocol_name(protocol)),
        "Leave it out or add --protocol hf-stride");
  std::vector<Row> rows;
  for (const uint32_t context : arguments.contexts) {
    Row row{
        {protocol, context, arguments.stride.value_or(std::max(context / 2, 1u)), arguments.last}};
    if (row.settings.stride > context)
      throw Error(ExitCode::usage, "command line",
                  fmt::format("found --stride {}, expected at most the context of {}",
                              row.settings.stride, context),
                  "Tokens between two windows would never be scored");
    row.windows = windows_of(dataset, row.settings);
    if (arguments.windows && row.windows.size() > *arguments.windows)
      row.windows.resize(*arguments.windows);
    rows.push_back(std::move(row));
  }
  return rows;
}

// As many windows at a time as fill a step, in a cache that holds the longest.
RuntimeSettings perplexity_settings(const Config& config, const std::vector<Row>& rows) {
  uint32_t longest = 0, shortest = kPerplexityRows;
  for (const Row& row : rows) {
    longest = std::max(longest, row.settings.length);
    shortest = std::min(shortest, row.settings.length);
  }
  RuntimeSettings settings;
  settings.config = config;
  settings.config.context.length = std::max(config.context.length.value_or(0), longest);
  settings.max_wanted = kPerplexityRows;
  // Two steps' worth, so that there is always a next window to fill a step with.
  settings.max_sequences = std::clamp(2 * kPerplexityRows / shortest, 2u, kMaxWindows);
  const uint32_t side_by_side =
      settings.max_sequences *
      abi::pages_for(std::min(shortest, kPerplexityRows), config.context.page_tokens);
  settings.cache_pages = std::max(
      abi::pages_for(*settings.config.context.length, config.context.page_tokens), side_by_side);
  return settings;
}

Json row_json(const Row& row) {
  const Perplexity result = row.sum.result();
  const bool strided = row.settings.protocol == Protocol::hf_stride;
  return {{"context", row.settings.length},
          {"perplexity", result.tokens > 0 ? Json(result.value()) : Json(nullptr)},
          {"stderr", result.tokens > 0 ? Json(result.standard_error()) : Json(nullptr)},
          {"nll", result.tokens > 0 ? Json(result.nll) : Json(nullptr)},
          {"tokens", result.tokens},
          {"windows", row.windows_done},
          {"of_windows", row.windows.size()},
          {"stride", strided ? Json(row.settings.stride) : Json(nullptr)},
          {"last", row.settings.last ? Json(*row.settings.last) : Json(nullptr)}};
}

std::string_view bos_rule(Protocol protocol) {
  return protocol == Protocol::llamacpp ? "replaces each window's first token" : "none";
}

Json perplexity_json(Protocol protocol, const Dataset& dataset, const Json& run,
                     const std::vector<Row>& rows, bool interrupted) {
  size_t tokens = 0;
  for (const std::vector<int32_t>& text : dataset.texts) tokens += text.size();
  Json answer = {{"protocol", protocol_name(protocol)},
                 {"dataset_sha256", dataset.sha256},
                 {"dataset_tokens", tokens},
                 {"bos", bos_rule(protocol)}};
  answer.update(run);
  answer["rows"] = Json::array();
  for (const Row& row : rows) answer["rows"].push_back(row_json(row));
  answer["interrupted"] = interrupted;
  return answer;
}

std::string answer_csv(const Json& answer) {
  std::string csv =
      "context,perplexity,stderr,nll,tokens,windows,of_windows,stride,last,protocol,model,rope,"
      "kv_cache,dataset_sha256\n";
  const auto cell = [](const Json& value) {
    return value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump();
  };
  for (const Json& row : answer["rows"]) {
    for (const auto& [key, value] : row.items()) csv += cell(value) + ",";
    csv +=
        fmt::format("{},{},{},{},{}\n", cell(answer["protocol"]), cell(answer["model"]),
                    cell(answer["rope"]), cell(answer["kv_cache"]), cell(answer["dataset_sha256"]));
  }
  return csv;
}

std::string perplexity_text(const Json& answer, const std::vector<Row>& rows) {
  std::string text = fmt::format(
      "protocol {}, BOS {}, cache {}, rope {}\ndataset sha256 {}\n\n"
      "{:>8} {:>12} {:>10} {:>10} {:>9}\n",
      answer["protocol"].get<std::string>(), answer["bos"].get<std::string>(),
      answer["kv_cache"].get<std::string>(), answer["rope"].get<std::string>(),
      answer["dataset_sha256"].get<std::string>(), "context", "perplexity", "+-", "tokens",
      "windows");
  for (const Row& row : rows) {
    const Perplexity result = row.sum.result();
    const std::string windows = row.windows_done == row.windows.size()
                                    ? std::to_string(row.windows_done)
                                    : fmt::format("{}/{}", row.windows_done, row.windows.size());
    text += result.tokens == 0
                ? fmt::format("{:>8} {:>12} {:>10} {:>10} {:>9}\n", row.settings.length, "-", "-",
                              0, windows)
                : fmt::format("{:>8} {:>12.4f} {:>10.4f} {:>10} {:>9}\n", row.settings.length,
                              result.value(), result.standard_error(), result.tokens, windows);
  }
  return text;
}

// Scores all rows and updates `line` after every step. A signal ends it by an exception.
void measure(Runtime& runtime, std::vector<Row>& rows, Progress& line) {
  double all = 0, before = 0;
  const auto tokens_of = [](const Row& row) {
    double tokens = 0;
    for (const ScoredWindow& window : row.windows) tokens += static_cast<double>(window.ids.size());
    return tokens;
  };
  for (const Row& row : rows) all += tokens_of(row);
  for (Row& row : rows) {
    WindowEvents events;
    events.scores = [&](size_t, std::span<const double> logprobs) {
      for (const double logprob : logprobs) row.sum.add(logprob);
      ++row.windows_done;
    };
    events.progress = [&](uint64_t done, uint64_t) {
      throw_if_stopped();
      const Perplexity result = row.sum.result();
      const std::string value = result.tokens > 0 ? fmt::format("{:.4f}", result.value()) : "";
      line.show((before + static_cast<double>(done)) / all,
                fmt::format("context {}: {} of {} windows  {}", row.settings.length,
                            row.windows_done, row.windows.size(), value));
    };
    score_windows(runtime, row.windows, events);
    before += tokens_of(row);
  }
}

}  // namespace

int perplexity(const PerplexityArguments& arguments) {
  const Protocol protocol = protocol_of(arguments.protocol);
  const Config config = open_config(arguments.common);
  const Dataset dataset = read_dataset(arguments.dataset, config, protocol);
  std::vector<Row> rows = rows_of(arguments, protocol, dataset);
  OpenModel model = open_checkpoint(arguments.common, perplexity_settings(config, rows));

  const StopRequest stop;
  try {
    Progress line("perplexity", progress_for(arguments.common));
    measure(model.runtime, rows, line);
  } catch (const Stopped&) {
    // Prints what was measured so far.
  }
  const Json answer =
      perplexity_json(protocol, dataset, run_json(config, model.runtime), rows, stop.signal() != 0);
  if (arguments.common.json) {
    print_json(answer);
  } else {
    print(arguments.csv ? answer_csv(answer) : perplexity_text(answer, rows));
  }
  return stop.signal() == 0 ? 0 : 128 + stop.signal();
}

}  // namespace ropewalk
