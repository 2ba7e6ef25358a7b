// continuation.h — how likely texts are to follow prompts that share a prefix.
//
// The prefix that a prompt shares with the one before it is not computed again: its keys and values
// stay cached. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/runtime.h"
#include "core/exec/cached_text.h"

namespace ropewalk {

class ContinuationScorer {
 public:
  // REQUIRES: `runtime` outlives this.
  explicit ContinuationScorer(Runtime& runtime)
      : runtime_(runtime), text_(runtime.cache(), runtime.rope_tables()) {}

  // ln p of ids[prompt], ids[prompt + 1], ..., each given all ids before it.
  // Throws Error: limit where `ids` is longer than the context or holds an id outside the
  // vocabulary. REQUIRES: 1 <= prompt < ids.size().
  double score(std::span<const int32_t> ids, uint32_t prompt);

  uint64_t tokens_run() const { return tokens_run_; }

 private:
  bool has_run(std::span<const int32_t> prompt, uint32_t final_length) const;
  std::span<const float> run(uint32_t max_rows);

  Runtime& runtime_;
  CachedText text_;                  // between two calls: the last prompt
  std::vector<float> after_prompt_;  // logits
  uint32_t final_length_ = 0;        // of the scored text
  uint64_t tokens_run_ = 0;
};

}  // namespace ropewalk
