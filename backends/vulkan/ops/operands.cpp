#include <algorithm>
#include <string>

#include "backends/vulkan/ops/ops.h"
#include "core/abi/guard.h"

namespace ropewalk::vulkan {

Range Operands::range(const abi::Tensor& tensor) const {
  const VkDeviceAddress begin = at(tensor);
  return {begin, begin + tensor.at.bytes};
}

const PackedShape& Operands::weight(size_t i, abi::WeightUse use) const {
  const abi::Tensor& t = in(i);
  const auto found = around_.weights.find({t.at.buffer.id, t.at.offset});
  const bool embeds = use == abi::WeightUse::embed;
  const bool right = found != around_.weights.end() && found->second.use == use &&
                     found->second.dtype == t.dtype &&
                     found->second.rows == t.dim[embeds ? 1 : 0] &&
                     found->second.cols == t.dim[embeds ? 0 : 1] &&
                     (t.dtype != abi::DType::gptq ||
                      (found->second.bits == t.bits && found->second.group_size == t.group_size));
  if (!right)
    throw abi::Failure(abi::StatusCode::invalid_argument,
                       std::string(t.name) + ": no weight of this shape was packed here");
  return found->second;
}

uint32_t rows_at_once(double affordable, uint32_t tile_rows) {
  const double tiles = std::clamp(affordable / tile_rows, 1.0, 512.0);
  return static_cast<uint32_t>(tiles) * tile_rows;
}

}  // namespace ropewalk::vulkan
