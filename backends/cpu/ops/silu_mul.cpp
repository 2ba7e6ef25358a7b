#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {

// y = gate / (1 + exp(-gate)) * up
void silu_mul(const GateMul& op, const Frame& frame) noexcept {
  const uint64_t count = uint64_t{frame.rows(op.extent)} * op.width;
  frame.pool.split(count, static_cast<double>(count), [&](uint64_t first, uint64_t last) noexcept {
    frame.kernels.silu_mul(op.gate + first, op.up + first, op.y + first, last - first);
  });
}

}  // namespace ropewalk::cpu
