// weight_room.h — the memory that a weight or a part of one is read into: its size, and where each
// of the weight's spans lies in it.
//
// Stateless; the memory is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/abi/weight.h"

namespace ropewalk {

// Spans to fill: `dense` for a dense weight, the others for a packed one.
struct WeightRoom {
  std::span<std::byte> dense, scales;
  std::span<uint32_t> qweight, qzeros;
};

// Bytes for `cols` columns of a weight of this shape. Each span starts at a multiple of 64 bytes.
uint64_t room_bytes(abi::Weight shape, uint32_t cols);

// Points the weight's spans into `room`. REQUIRES: room_bytes() bytes, aligned to 4.
WeightRoom lay_out(abi::Weight& weight, std::span<std::byte> room);

}  // namespace ropewalk
