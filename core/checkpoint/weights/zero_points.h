// zero_points.h — how the zero points of a whole checkpoint are stored.
#pragma once

#include <cstdint>

#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

// Decided once, from the data where it is symmetric (all v1 zeros are 2^(bits-1)-1, all v2 zeros
// 2^(bits-1)), else from the config; a contradiction is decided for the data with a warning.
enum class ZeroPoints : uint8_t { v1, v2 };

// Reads the qzeros of as many layers as it takes to decide; v1 where nothing is quantised. Throws
// Error.
ZeroPoints detect_zero_points(const Checkpoint& checkpoint);

}  // namespace ropewalk
