#include <cstring>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {

// y[r] = table[token[r]] * scale
void embed(const Embed& op, const Frame& frame) noexcept {
  PackedHeader header;
  std::memcpy(&header, op.table, sizeof header);
  const std::byte* table = op.table + kHeaderBytes;
  for (uint32_t r = 0; r < frame.step.rows; ++r) {
    const uint64_t first = uint64_t{static_cast<uint32_t>(frame.step.token[r])} * op.width;
    float* y = op.y + uint64_t{r} * op.width;
    if (header.dtype == abi::DType::f32)
      std::memcpy(y, table + first * 4, uint64_t{op.width} * 4);
    else if (header.dtype == abi::DType::f16)
      frame.kernels.widen_f16(table + first * 2, y, op.width);
    else
      frame.kernels.widen_bf16(table + first * 2, y, op.width);
    if (op.scale != 1)
      for (uint32_t i = 0; i < op.width; ++i) y[i] *= op.scale;
  }
}

}  // namespace ropewalk::cpu
