#include "core/load/weight_parts.h"

#include <algorithm>

#include "core/checkpoint/weights/weight_room.h"

namespace ropewalk {
namespace {

// Columns of the widest part that fits `bytes`; 0: none fits.
uint32_t widest_within(const abi::Weight& shape, uint64_t bytes) {
  if (room_bytes(shape, shape.cols) <= bytes) return shape.cols;
  const uint64_t smallest = room_bytes(shape, abi::kPartColumns);
  const uint64_t steps = std::min<uint64_t>(bytes / smallest, shape.cols / abi::kPartColumns);
  return static_cast<uint32_t>(steps) * abi::kPartColumns;
}

}  // namespace

std::vector<Columns> parts_of(const abi::Weight& shape, std::span<const uint32_t> order,
                              uint64_t ring_bytes) {
  uint32_t width = widest_within(shape, order.empty() ? ring_bytes / 2 : ring_bytes);
  if (width == 0) width = widest_within(shape, ring_bytes);
  std::vector<Columns> parts;
  if (width == 0) return parts;
  for (uint32_t first = 0; first < shape.cols; first += std::min(width, shape.cols - first))
    parts.push_back({first, std::min(width, shape.cols - first), order});
  return parts;
}

}  // namespace ropewalk
