// ceiling.h — what a device reaches without a model, measured.
#pragma once

#include <optional>

#include "core/abi/backend.h"

namespace ropewalk {

// Each is absent where the device does not measure it.
struct Ceiling {
  std::optional<double> read_gbs = {}, copy_gbs = {};  // 1e9 bytes per second
  std::optional<double> tflops = {};                   // matrix products, 1e12 FLOP/s
};

// Takes up to some seconds, and memory of the device that is given back.
Ceiling measure_ceiling(abi::Device& device);

}  // namespace ropewalk
