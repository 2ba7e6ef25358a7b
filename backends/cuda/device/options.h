// options.h — what the configuration may ask of this backend, parsed once.
#pragma once

#include <cstdint>

#include "backends/cuda/device/target.h"
#include "core/abi/options.h"

namespace ropewalk::cuda {

enum class Recording { graph, eager };
// Where the largest logit of a row is found and all are checked.
enum class LogitsOn { device, host };

struct Options {
  // Throws Failure (invalid_argument) for a text that an option does not take.
  explicit Options(const abi::Options& given);

  Recording recording;
  uint64_t step_limit_ms;  // max time of a step
  LogitsOn logits;
  Choices choices;
};

extern const abi::OptionInfo kOptions[12];

}  // namespace ropewalk::cuda
