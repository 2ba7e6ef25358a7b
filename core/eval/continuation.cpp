#include "core/eval/continuation.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/eval/score.h"

namespace ropewalk {

bool ContinuationScorer::has_run(std::span<const int32_t> prompt, uint32_t final_length) const {
  return text_.pending() == 0 && std::ranges::equal(text_.ids(), prompt) &&
         (final_length == final_length_ || runtime_.rope_tables().keys_stay_valid());
}

// The logits of the text's last token, or none where the chunk stops before it.
std::span<const float> ContinuationScorer::run(uint32_t max_rows) {
  Chunk chunk = text_.next(max_rows);
  chunk.final_length = final_length_;
  const std::span<const float> logits = runtime_.executor().run_one(chunk);
  tokens_run_ += chunk.tokens.size();
  return logits;
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
  // The last token is not run, so a RoPE policy that varies sees a length of one less.
  const auto final_length = static_cast<uint32_t>(ids.size()) - 1;
  const bool known = has_run(ids.first(prompt), final_length);
  final_length_ = final_length;
  if (!known) {
    text_.rewind_to(ids.first(prompt));
    std::span<const float> logits;
    while (text_.pending() > 0) logits = run(executor.max_rows());
    after_prompt_.assign(logits.begin(), logits.end());
  }
  double sum = log_probability(after_prompt_, ids[prompt]);
  for (uint32_t i = prompt; i + 1 < ids.size(); ++i) {
    text_.append(ids.subspan(i, 1));
    sum += log_probability(run(1), ids[i + 1]);
  }
  text_.truncate(prompt);
  return sum;
}

}  // namespace ropewalk
