// finite.h — finds NaN and infinity in stored values, and converts stored values to floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

struct NonFinite {
  uint64_t count = 0;
  uint64_t first = 0;  // index of the first; meaningful where count > 0
};

// REQUIRES: type is f32, f16, bf16 or f64; bytes.size() is a multiple of its size.
NonFinite count_non_finite(StoredType type, std::span<const std::byte> bytes);

// REQUIRES: type is f32, f16 or bf16. Exact: every f16 and bf16 value is an f32 value.
std::vector<float> to_floats(StoredType type, std::span<const std::byte> bytes);

}  // namespace ropewalk
