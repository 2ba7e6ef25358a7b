#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {

// y[r][i] = x[r][order[i]]
void permute(const Permute& op, const Frame& frame) noexcept {
  const uint32_t rows = frame.rows(op.extent);
  frame.pool.split(rows, 0.5 * rows * op.width, [&](uint64_t first, uint64_t last) noexcept {
    for (uint64_t r = first; r < last; ++r)
      for (uint32_t i = 0; i < op.width; ++i)
        op.y[r * op.width + i] = op.x[r * op.width + static_cast<uint32_t>(op.order[i])];
  });
}

}  // namespace ropewalk::cpu
