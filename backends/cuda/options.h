// options.h — what the configuration may ask of this backend, read once.
#pragma once

#include <cstdint>

#include "core/abi/options.h"

namespace ropewalk::cuda {

enum class Recording { graph, eager };

struct Options {
  explicit Options(const abi::Options& given);

  Recording recording;
  uint64_t step_limit_ms;  // how long a step may run
};

extern const abi::OptionInfo kOptions[2];

}  // namespace ropewalk::cuda
