#include "backends/cuda/operands.h"

#include <algorithm>
#include <string>

#include "core/abi/guard.h"

namespace ropewalk::cuda {

uint32_t most_rows(const abi::ProgramShape& shape, Extent extent) {
  return std::max(extent == Extent::wanted ? shape.wanted : shape.rows, 1u);
}

const PackedWeight& Operands::weight(size_t i, abi::WeightUse use) const {
  const abi::Tensor& t = in(i);
  const auto found = places_.weights.find({t.at.buffer.id, t.at.offset});
  const bool embeds = use == abi::WeightUse::embed;
  const auto fits = [&](const PackedWeight& w) {
    return w.use == use && w.dtype == t.dtype && w.layout.rows == t.dim[embeds ? 1 : 0] &&
           w.layout.cols == t.dim[embeds ? 0 : 1] &&
           (t.dtype != abi::DType::gptq ||
            (w.layout.bits == t.bits && w.layout.group_size == t.group_size));
  };
  if (found == places_.weights.end() || !fits(found->second))
    throw abi::Failure(abi::StatusCode::invalid_argument,
                       std::string(t.name) + ": no weight of this shape was packed here");
  return found->second;
}

}  // namespace ropewalk::cuda
