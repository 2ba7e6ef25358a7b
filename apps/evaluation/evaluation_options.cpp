#include "apps/evaluation/evaluation_options.h"

#include <string>

#include "apps/common_options.h"
#include "apps/number_options.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

template <class Count>  // uint32_t or an optional one
CLI::Option* add_count(CLI::App& app, const std::string& name, Count& count, uint32_t min,
                       const std::string& help) {
  return app.add_option(name, count, help)->type_name("N")->check(between(min, kMaxTokenCount));
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
  add_config(app, perplexity.common)->required();
  add_dataset(app, perplexity.dataset);
  add_counts(app, "--context", perplexity.contexts, between(2u, kMaxTokenCount),
             "Tokens of a window")
      ->required();
  perplexity.protocol = "chunk";
  app.add_option("--protocol", perplexity.protocol,
                 "Windows and what is scored: chunk, hf-stride, llamacpp, jsonl")
      ->type_name("chunk|hf-stride|llamacpp|jsonl")
      ->capture_default_str();
  add_count(app, "--stride", perplexity.stride, 1,
            "Distance between windows of hf-stride, default half the context");
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

void add_options(CLI::App& app, RecallArguments& recall) {
  add_config(app, recall.common)->required();
  app.add_option("--data", recall.data, "JSON Lines of needles and fillers; - is standard input")
      ->type_name("FILE")
      ->required();
  add_counts(app, "--length", recall.lengths, between(1u, kMaxTokenCount),
             "Tokens of prompt and reply")
      ->required();
  recall.depths = {0, 0.25, 0.5, 0.75, 1};
  app.add_option("--depth", recall.depths, "Share of the fillers that stands before the needle")
      ->type_name("X,X,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(between(0.0, 1.0))
      ->capture_default_str();
  add_count(app, "--cases", recall.cases, 1, "Ask only the first so many");
  add_json(app, recall.common);
  app.add_flag("--csv", recall.csv, "Answer with a line of CSV for each length and depth")
      ->excludes("--json");
}

void add_options(CLI::App& app, MmluArguments& mmlu) {
  add_config(app, mmlu.common)->required();
  app.add_option("--data", mmlu.data, "Folder with dev/SUBJECT_dev.csv and test/SUBJECT_test.csv")
      ->type_name("DIR")
      ->required();
  mmlu.form = "hendrycks";
  app.add_option("--form", mmlu.form, "Wording of the prompt: hendrycks or lm-eval")
      ->type_name("hendrycks|lm-eval")
      ->capture_default_str();
  mmlu.shots = 5;
  app.add_option("--shots", mmlu.shots, "Answered questions in front of each")
      ->type_name("N")
      ->check(between(0u, 100u))
      ->capture_default_str();
  app.add_option("--subjects", mmlu.subjects, "Only these")
      ->type_name("NAME,NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  add_count(app, "--questions", mmlu.questions, 1, "Only the first so many of each subject");
  app.add_flag("--no-bos", mmlu.no_bos, "Leave out the BOS that the tokenizer adds");
  add_json(app, mmlu.common);
  app.add_flag("--details", mmlu.details, "Every question in the JSON answer")->needs("--json");
}

}  // namespace ropewalk
