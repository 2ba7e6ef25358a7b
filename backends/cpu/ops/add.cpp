#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {

// y = a + b * scale
void add(const Add& op, const Frame& frame) noexcept {
  const uint64_t count = uint64_t{frame.rows(op.extent)} * op.width;
  frame.pool.split(count, 0.3 * static_cast<double>(count),
                   [&](uint64_t first, uint64_t last) noexcept {
                     for (uint64_t i = first; i < last; ++i) op.y[i] = op.a[i] + op.b[i] * op.scale;
                   });
}

}  // namespace ropewalk::cpu
