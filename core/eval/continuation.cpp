#include "core/eval/continuation.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/eval/score.h"

namespace ropewalk {

void ContinuationScorer::run_prompt(std::span<const int32_t> prompt, uint32_t final_length) {
  if (!last_.empty() && std::equal(prompt.begin(), prompt.end(), cached_.begin(), cached_.end()))
    return;
  const auto shared = std::mismatch(prompt.begin(), prompt.end(), cached_.begin(), cached_.end());
  // The last token is always run: its logits are what is wanted.
  auto done = std::min(static_cast<uint32_t>(shared.first - prompt.begin()),
                       static_cast<uint32_t>(prompt.size()) - 1);
  // Keys that were rotated by the table of another length are not this prompt's.
  if (runtime_.rope_tables().varies() && runtime_.rope().mode != RopeMode::exact) done = 0;
  sequence_.truncate(done);
  cached_.resize(done);
  last_.clear();
  Executor& executor = runtime_.executor();
  while (done < prompt.size()) {
    const auto count = std::min(executor.max_rows(), static_cast<uint32_t>(prompt.size()) - done);
    const bool ends = done + count == prompt.size();
    const Chunk chunk{&sequence_, prompt.subspan(done, count), ends ? Wanted::last : Wanted::none,
                      final_length};
    const std::span<const float> logits = executor.run({&chunk, 1});
    cached_.insert(cached_.end(), chunk.tokens.begin(), chunk.tokens.end());
    if (ends) last_.assign(logits.begin(), logits.end());
    done += count;
    tokens_run_ += count;
  }
}

double ContinuationScorer::score(std::span<const int32_t> ids, uint32_t prompt) {
  if (ids.size() > runtime_.context_length()) {
    throw Error(ExitCode::limit, "prompt",
                fmt::format("it has {} tokens with its answer, the context holds {}", ids.size(),
                            runtime_.context_length()),
                "Raise context.length");
  }
  Executor& executor = runtime_.executor();
  check_ids(ids, executor.vocab_size());
  // The last token itself is not run, so a policy that varies sees one less.
  const auto final_length = static_cast<uint32_t>(ids.size()) - 1;
  run_prompt(ids.first(prompt), final_length);
  double sum = log_probability(last_, ids[prompt]);
  for (uint32_t i = prompt; i + 1 < ids.size(); ++i) {
    const Chunk chunk{&sequence_, ids.subspan(i, 1), Wanted::last, final_length};
    sum += log_probability(executor.run({&chunk, 1}), ids[i + 1]);
    ++tokens_run_;
  }
  sequence_.truncate(prompt);
  return sum;
}

}  // namespace ropewalk
