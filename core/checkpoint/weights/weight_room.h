// weight_room.h — the memory that a weight, or a part of one, is read into: how much it takes and
// where in it each of the weight's spans lies.
//
// Stateless; the memory is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/abi/weight.h"

namespace ropewalk {

// Spans to fill, of a dense weight `dense` alone, of a packed one the others.
struct WeightRoom {
  std::span<std::byte> dense, scales;
  std::span<uint32_t> qweight, qzeros;
};

// Bytes for the spans of so many columns of a weight of this shape, each span beginning at a
// multiple of 64 of the room.
uint64_t room_bytes(abi::Weight shape, uint32_t cols);

// Points the weight's spans into `room`. REQUIRES: room_bytes() bytes, aligned to 4.
WeightRoom lay_out(abi::Weight& weight, std::span<std::byte> room);

}  // namespace ropewalk
