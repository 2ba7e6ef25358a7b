// weight_parts.h — into what parts of its columns a weight is cut on its way to a device.
//
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/checkpoint/weights/weight_info.h"

namespace ropewalk {

// The parts of a weight of this shape, its columns laid out in `order`, that each fit a ring of
// `ring_bytes`, and leave room for the next one to be read meanwhile where that costs nothing: a
// part of reordered columns reads the whole file of the weight, so such a weight is cut only where
// it must be. Empty where kPartColumns of its columns are more than the ring holds.
std::vector<Columns> parts_of(const abi::Weight& shape, std::span<const uint32_t> order,
                              uint64_t ring_bytes);

}  // namespace ropewalk
