#include "apps/evaluation_options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>
#include <vector>

namespace ropewalk {
namespace {

constexpr uint32_t kMaxTokens = 1 << 24;

void add_config(CLI::App& app, CommonArguments& common) {
  app.add_option("CONFIG", common.target, "The configuration, a YAML file")->required();
}

void add_json(CLI::App& app, CommonArguments& common) {
  app.add_flag("--json", common.json, "Answer with one JSON object on one line");
}

// An option that takes numbers separated by commas.
CLI::Option* add_counts(CLI::App& app, const std::string& name, std::vector<uint32_t>& counts,
                        uint32_t greatest, const std::string& help) {
  return app.add_option(name, counts, help)
      ->type_name("N,N,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1u, greatest));
}

template <class Count>  // uint32_t or an optional one
CLI::Option* add_count(CLI::App& app, const std::string& name, Count& count, uint32_t least,
                       const std::string& help) {
  return app.add_option(name, count, help)->type_name("N")->check(CLI::Range(least, kMaxTokens));
}

void add_dataset(CLI::App& app, DatasetArguments& dataset) {
  CLI::Option_group* source = app.add_option_group("source");
  source->add_option("--text", dataset.text, "The text, as it is; - is standard input")
      ->type_name("FILE");
  source->add_option("--ids", dataset.ids, "The same as token ids")->type_name("FILE");
  source->require_option(1);
}

}  // namespace

void add_options(CLI::App& app, PerplexityArguments& perplexity) {
  add_config(app, perplexity.common);
  add_dataset(app, perplexity.dataset);
  add_counts(app, "--context", perplexity.contexts, kMaxTokens, "Tokens of a window")
      ->check(CLI::Range(2u, kMaxTokens))
      ->required();
  perplexity.protocol = "chunk";
  app.add_option("--protocol", perplexity.protocol,
                 "Windows and what is scored: chunk, hf-stride, llamacpp, jsonl")
      ->type_name("NAME")
      ->capture_default_str();
  add_count(app, "--stride", perplexity.stride, 1, "Of hf-stride, default half the context");
  add_count(app, "--last", perplexity.last, 1, "Score only the last N positions of each window");
  add_count(app, "--windows", perplexity.windows, 1, "Stop after so many windows of each context");
  add_json(app, perplexity.common);
  app.add_flag("--csv", perplexity.csv, "Answer with a line of CSV for each context")
      ->excludes("--json");
}

void add_options(CLI::App& app, CompareArguments& compare) {
  app.add_option("CONFIG_A", compare.common.target, "The reference, a YAML file")->required();
  app.add_option("CONFIG_B", compare.other, "What is compared with it")->required();
  add_dataset(app, compare.dataset);
  compare.context = 512;
  add_count(app, "--context", compare.context, 2, "Tokens of a window")->capture_default_str();
  add_count(app, "--windows", compare.windows, 1, "Stop after so many windows");
  add_json(app, compare.common);
}

}  // namespace ropewalk
