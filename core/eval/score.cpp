#include "core/eval/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/base/error.h"
#include "core/exec/cached_text.h"

namespace ropewalk {

double Score::nll() const { return -std::accumulate(logprobs.begin(), logprobs.end(), 0.0); }

void check_ids(std::span<const int32_t> ids, uint32_t vocab) {
  for (const int32_t id : ids) {
    if (id >= 0 && static_cast<uint32_t>(id) < vocab) continue;
    throw Error(ExitCode::limit, "ids", fmt::format("found id {}, expected 0 to {}", id, vocab - 1),
                "Use ids of this model's tokenizer");
  }
}

Score score(Runtime& runtime, std::span<const int32_t> ids,
            const std::function<void(uint32_t done, uint32_t total)>& progress) {
  Executor& executor = runtime.executor();
  const uint32_t vocab = executor.vocab_size();
  const auto total = static_cast<uint32_t>(ids.size());
  if (total > runtime.context_length()) {
    throw Error(
        ExitCode::limit, "ids",
        fmt::format("found {} tokens, the context holds {}", total, runtime.context_length()),
        "Score fewer tokens or raise context.length");
  }
  check_ids(ids, vocab);

  CachedText text(runtime.cache(), runtime.rope_tables());
  text.append(ids);
  Score result;
  // The last token's logits are not needed: they predict what follows the text.
  const uint32_t rows = std::min(executor.max_rows(), executor.max_wanted());
  while (text.pending() > 1) {
    Chunk chunk = text.next(std::min(rows, text.pending() - 1));
    chunk.wanted = Wanted::all;
    std::span<const float> logits = executor.run_one(chunk);
    while (!logits.empty()) {
      const int32_t next = ids[result.logprobs.size() + 1];
      result.logprobs.push_back(log_probability(logits.first(vocab), next));
      logits = logits.subspan(vocab);
    }
    if (progress) progress(text.cached() + 1, total);
  }
  return result;
}

}  // namespace ropewalk
