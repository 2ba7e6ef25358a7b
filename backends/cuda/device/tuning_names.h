// tuning_names.h — the numbers of tuning.h by the names that the option `tune` knows. Host code
// only: nvcc warns of pointers to members. Stateless.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "backends/cuda/device/tuning.h"

namespace ropewalk::cuda {

struct TuningName {
  const char* name;
  uint32_t Tuning::*value;
  uint32_t min, max;
  const char* help;
};

// All of them, in the order above.
std::span<const TuningName> tuning_names();

// Reads "splits=4,min-keys=32"; an empty text changes nothing. Throws Failure (invalid_argument)
// that lists the names after an unknown name, or the range after a value outside of it.
Tuning parse_tuning(std::string_view text);

}  // namespace ropewalk::cuda
