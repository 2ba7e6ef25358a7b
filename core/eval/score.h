// score.h — the log-probability of every token given those before it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/engine/runtime.h"
#include "core/sample/logprobs.h"

namespace ropewalk {

struct Score {
  std::vector<double> logprobs;  // natural log; entry i is of ids[i + 1] given ids[0 .. i]
  double nll() const;            // minus their sum
};

// Throws Error (limit) for an id outside [0, vocab).
void check_ids(std::span<const int32_t> ids, uint32_t vocab);

// One sequence from an empty cache. Throws Error: limit for an id outside the model's vocabulary or
// a text longer than the context. `progress` is called with tokens done and may throw to cancel.
Score score(Runtime& runtime, std::span<const int32_t> ids,
            const std::function<void(uint32_t done, uint32_t total)>& progress);

}  // namespace ropewalk
