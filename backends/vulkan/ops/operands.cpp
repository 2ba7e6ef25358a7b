#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

Range Operands::range(const abi::Tensor& tensor) const {
  const VkDeviceAddress begin = at(tensor);
  return {begin, begin + tensor.at.bytes};
}

uint32_t rows_at_once(double affordable, uint32_t tile_rows) {
  const double tiles = std::clamp(affordable / tile_rows, 1.0, 512.0);
  return static_cast<uint32_t>(tiles) * tile_rows;
}

}  // namespace ropewalk::vulkan
