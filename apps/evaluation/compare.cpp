// compare.cpp — `ropewalk compare CONFIG_A CONFIG_B --text F`: how much another backend, other
// weights or another cache type change the predictions.
#include "core/eval/compare.h"

#include <fmt/format.h>

#include "apps/evaluation/dataset_input.h"
#include "apps/evaluation/evaluation_commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// The logits of this many tokens are in memory twice: 2 x 16 MB for a vocabulary of 32,000.
constexpr uint32_t kComparedRows = 128;

RuntimeSettings comparison_settings(const Config& config, uint32_t context) {
  RuntimeSettings settings;
  settings.config = config;
  settings.config.context.length = std::max(config.context.length.value_or(0), context);
  settings.max_wanted = kComparedRows;
  settings.cache_pages = abi::pages_for(context, config.context.page_tokens);
  return settings;
}

// Positions are comparable only where both tokenise the text in the same way.
void check_same_text(const Dataset& a, const Dataset& b) {
  if (a.texts == b.texts) return;
  throw Error(ExitCode::usage, "CONFIG_B",
              "its tokenizer makes other ids of the text than CONFIG_A's",
              "Compare models of one tokenizer, or give --ids");
}

Json comparison_json(const Comparison& result) {
  Json json = {{"tokens", result.tokens}};
  if (result.tokens == 0) return json;
  json["kl_mean"] = result.kl_mean;
  json["kl_p99"] = result.kl_p99;
  json["kl_max"] = result.kl_max;
  json["same_top"] = result.same_top;
  json["perplexity_a"] = result.a.value();
  json["perplexity_b"] = result.b.value();
  json["max_logit_difference"] = result.max_difference;
  return json;
}

std::string comparison_text(const Comparison& result) {
  if (result.tokens == 0) return "nothing was compared\n";
  return fmt::format(
      "tokens                  {}\n"
      "KL divergence, mean     {:.3e}\n"
      "KL divergence, 99 %     {:.3e}\n"
      "KL divergence, max      {:.3e}\n"
      "same top token          {:.2f} %\n"
      "perplexity of A         {:.4f}\n"
      "perplexity of B         {:.4f}\n"
      "largest logit change    {:.3e}\n",
      result.tokens, result.kl_mean, result.kl_p99, result.kl_max, 100 * result.same_top,
      result.a.value(), result.b.value(), result.max_difference);
}

}  // namespace

int compare(const CompareArguments& arguments) {
  CommonArguments other = arguments.common;
  other.target = arguments.other;
  const Config config_a = open_config(arguments.common), config_b = open_config(other);
  const Dataset dataset = read_dataset(arguments.dataset, config_a, Protocol::chunk);
  if (arguments.dataset.text && *arguments.dataset.text != "-")
    check_same_text(dataset, read_dataset(arguments.dataset, config_b, Protocol::chunk));
  std::vector<ScoredWindow> windows =
      windows_of(dataset, {Protocol::chunk, arguments.context, 1, {}});
  if (arguments.windows && windows.size() > *arguments.windows) windows.resize(*arguments.windows);

  OpenModel a = open_checkpoint(arguments.common, comparison_settings(config_a, arguments.context));
  OpenModel b = open_checkpoint(other, comparison_settings(config_b, arguments.context));
  const StopRequest stop;
  ComparisonSum sum;
  try {
    Progress line("comparing", progress_for(arguments.common));
    compare_windows(a.runtime, b.runtime, windows, sum, [&](uint64_t done, uint64_t total) {
      throw_if_stopped();
      line.show(static_cast<double>(done) / static_cast<double>(total), "");
    });
  } catch (const Stopped&) {
    // Prints what was compared so far.
  }
  const Comparison result = sum.result();
  if (arguments.common.json) {
    Json answer = {{"dataset_sha256", dataset.sha256},
                   {"context", arguments.context},
                   {"windows", windows.size()}};
    answer.update(comparison_json(result));
    answer["a"] = run_json(config_a, a.runtime);
    answer["b"] = run_json(config_b, b.runtime);
    answer["interrupted"] = stop.signal() != 0;
    print_json(answer);
  } else {
    print(comparison_text(result));
  }
  return stop.signal() == 0 ? 0 : 128 + stop.signal();
}

}  // namespace ropewalk
