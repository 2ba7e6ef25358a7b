// weight_parts.h — cuts a weight into parts of its columns that fit the memory for loading.
//
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/checkpoint/weights/weight_info.h"

namespace ropewalk {

// The parts of a weight of this shape whose columns are laid out in `order`. Each fits a ring of
// `ring_bytes`. Without an order each fits half of the ring if possible, so that the next part is
// read during packing. With an order each part reads all of the weight's bytes, so there are as few
// parts as possible. Empty where not even kPartColumns columns fit the ring.
std::vector<Columns> parts_of(const abi::Weight& shape, std::span<const uint32_t> order,
                              uint64_t ring_bytes);

}  // namespace ropewalk
