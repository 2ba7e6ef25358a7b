// score.cpp — `ropewalk score CONFIG --ids F`: how likely the model finds each token.
#include "core/eval/score.h"

#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// The logits of this many tokens are in memory at a time: 16 MB for a vocabulary of 32,000.
constexpr uint32_t kScoredRows = 128;

Json score_json(const std::vector<int32_t>& ids, const Score& score) {
  Json logprobs = Json::array({nullptr});  // of the first token, which has no context
  for (const double logprob : score.logprobs) logprobs.push_back(logprob);
  return {{"ids", ids},
          {"logprobs", logprobs},
          {"nll", score.nll()},
          {"tokens", score.logprobs.size()}};
}

std::string score_text(const std::vector<int32_t>& ids, const Score& score) {
  std::string text;
  for (size_t i = 0; i < score.logprobs.size(); ++i)
    text += fmt::format("{}\t{}\t{:.6f}\n", i + 1, ids[i + 1], score.logprobs[i]);
  return text + fmt::format("nll {:.6f}, {} tokens\n", score.nll(), score.logprobs.size());
}

}  // namespace

int score(const ScoreArguments& arguments) {
  const Config config = open_config(arguments.common);
  const std::vector<int32_t> ids = read_ids(arguments.ids);
  if (ids.empty())
    throw Error(ExitCode::usage, arguments.ids, "it holds no token id, expected at least one", "");
  RuntimeSettings settings;
  settings.config = config;
  settings.max_wanted = kScoredRows;
  OpenModel model = open_checkpoint(arguments.common, std::move(settings));
  const StopRequest stop;
  Progress progress("scoring", progress_for(arguments.common));
  const Score result = score(model.runtime, ids, [&](uint32_t done, uint32_t total) {
    throw_if_stopped();
    progress.show_steps(done, total);
  });
  progress.clear();
  arguments.common.json ? print_json(score_json(ids, result)) : print(score_text(ids, result));
  return 0;
}

}  // namespace ropewalk
