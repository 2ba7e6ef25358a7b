// step_counts.h — the extension "step-counts": what a step asks of the device beside its work.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/abi/status.h"

namespace ropewalk::abi {

inline constexpr std::string_view kStepCounts = "step-counts";

struct StepCounts {
  uint32_t dispatches = 0;  // kernels that are launched
  uint32_t barriers = 0;    // at which all that was launched before is waited for
};

// What extension(kStepCounts) answers; the device owns it.
class StepCounting {
 public:
  // Of the step that was enqueued last.
  virtual Status last_step(StepCounts* counts) noexcept = 0;

 protected:
  ~StepCounting() = default;
};

}  // namespace ropewalk::abi
