#include <cmath>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {

// y = gate / (1 + exp(-z)) * up, z = 2 sqrt(2 / pi) (gate + 0.044715 gate^3)
void gelu_mul(const GateMul& op, const Frame& frame) noexcept {
  constexpr float kLinear = 1.5957691216057308f, kCubic = 0.044715f;
  const uint64_t count = uint64_t{frame.rows(op.extent)} * op.width;
  frame.pool.split(count, 5.0 * static_cast<double>(count),
                   [&](uint64_t first, uint64_t last) noexcept {
                     for (uint64_t i = first; i < last; ++i) {
                       const float gate = op.gate[i];
                       const float z = kLinear * (gate + kCubic * gate * gate * gate);
                       op.y[i] = gate / (1 + std::exp(-z)) * op.up[i];
                     }
                   });
}

}  // namespace ropewalk::cpu
