#include "core/eval/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"

namespace ropewalk {

double Score::nll() const { return -std::accumulate(logprobs.begin(), logprobs.end(), 0.0); }

void check_ids(std::span<const int32_t> ids, uint32_t vocab) {
  for (const int32_t id : ids) {
    if (id >= 0 && static_cast<uint32_t>(id) < vocab) continue;
    throw Error(ExitCode::limit, "ids", fmt::format("found id {}, expected 0 to {}", id, vocab - 1),
                "Use ids of this model's tokenizer");
  }
}

double log_probability(std::span<const float> logits, int32_t id) {
  const double greatest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - greatest);
  return static_cast<double>(logits[static_cast<size_t>(id)]) - greatest - std::log(sum);
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

  Sequence sequence(runtime.cache());
  Score result;
  // The last token's own logits say nothing about the text.
  const uint32_t rows = std::min(executor.max_rows(), executor.max_wanted());
  for (uint32_t done = 0; done + 1 < total;) {
    const uint32_t count = std::min(rows, total - 1 - done);
    const Chunk chunk{&sequence, ids.subspan(done, count), Wanted::all, total};
    const std::span<const float> logits = executor.run({&chunk, 1});
    for (uint32_t i = 0; i < count; ++i) {
      result.logprobs.push_back(
          log_probability(logits.subspan(uint64_t{i} * vocab, vocab), ids[done + i + 1]));
    }
    done += count;
    if (progress) progress(done + 1, total);
  }
  return result;
}

}  // namespace ropewalk
