// continuation.h — how likely texts are to follow prompts, where prompts share their beginnings.
//
// What a prompt shares with the one before it is not computed again: its keys and values stay
// cached. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/runtime.h"

namespace ropewalk {

class ContinuationScorer {
 public:
  // REQUIRES: `runtime` outlives this.
  explicit ContinuationScorer(Runtime& runtime) : runtime_(runtime), sequence_(runtime.cache()) {}

  // ln of the probability of ids[prompt], ids[prompt + 1], ... given what stands before each.
  // Throws Error: limit where `ids` is longer than the context or holds an id outside the
  // vocabulary. REQUIRES: 1 <= prompt < ids.size().
  double score(std::span<const int32_t> ids, uint32_t prompt);

  uint64_t tokens_run() const { return tokens_run_; }

 private:
  void run_prompt(std::span<const int32_t> prompt, uint32_t final_length);

  Runtime& runtime_;
  Sequence sequence_;
  std::vector<int32_t> cached_;  // whose keys and values are in the sequence
  std::vector<float> last_;      // logits after cached_; empty: not known
  uint64_t tokens_run_ = 0;
};

}  // namespace ropewalk
