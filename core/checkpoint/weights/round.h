// round.h — floats rounded to the types that files store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

// To the nearest, ties to even; what is too large becomes infinity. NaN stays NaN.
uint16_t round_to_f16(float value);
uint16_t round_to_bf16(float value);

// REQUIRES: type is f32, f16 or bf16; out.size() == values.size() * stored_size(type).
void round_to(StoredType type, std::span<const float> values, std::span<std::byte> out);

}  // namespace ropewalk
