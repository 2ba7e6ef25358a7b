// tuning_names.h — the numbers of tuning.h by the names that the option `tune` knows. Host code
// only: nvcc does not pass pointers to members through without a warning. Stateless.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "backends/cuda/device/tuning.h"

namespace ropewalk::cuda {

struct TuningName {
  const char* name;
  uint32_t Tuning::*value;
  uint32_t least, most;
  const char* help;
};

// All of them, in the order above.
std::span<const TuningName> tuning_names();

// "splits=4,least-keys=32"; empty: nothing. Throws Failure (invalid_argument) that lists the names
// for an unknown one, or the range of a value outside of it.
Tuning parse_tuning(std::string_view text);

}  // namespace ropewalk::cuda
