// block.h — a model of one layer over every op, small and with odd sizes, for tests of whole
// programs.
#pragma once

#include <vector>

#include "tests/ops/harness/session.h"

namespace ropewalk::test {

inline constexpr uint32_t kBlockVocab = 75;
inline constexpr uint32_t kBlockPages = 768 / abi::kDefaultPageTokens;  // of a sequence

// Sequences lie in the cache one behind the other.
struct Block {
  explicit Block(uint32_t sequences);

  // Rows [first, first + count) of sequence `sequence`, all of them wanted. Tokens follow from
  // sequence and position.
  StepData step(uint32_t sequence, uint32_t first, uint32_t count) const;
  // Several sequences in one step: the rows of both, in this order.
  static StepData joined(const StepData& a, const StepData& b);

  Case description;
  uint32_t logits;  // (W, kBlockVocab)
  uint32_t sequences;
};

}  // namespace ropewalk::test
