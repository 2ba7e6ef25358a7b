// largest_logits.h — the extension "largest-logits": what greedy decoding and the check for finite
// numbers must know of a row of logits. A device that has it finds that where the logits are, so
// that the host reads four bytes of a row instead of the whole row.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/abi/status.h"

namespace ropewalk::abi {

inline constexpr std::string_view kLargestLogits = "largest-logits";

// In the place of an id: a logit of the row is NaN or infinite.
inline constexpr int32_t kNotFinite = -1;

// What extension(kLargestLogits) answers; the device owns it. Called as the device itself is: from
// one thread at a time.
class LargestLogits {
 public:
  // Of the step that was enqueued last: for each wanted row the id of its largest logit, the lowest
  // of equal ones (0 equals -0), or kNotFinite. REQUIRES: wait() has returned since the step was
  // enqueued; the graph's only output is (W, N) f32; `ids` (W).
  virtual Status largest_logits(std::span<int32_t> ids) noexcept = 0;

 protected:
  ~LargestLogits() = default;
};

}  // namespace ropewalk::abi
