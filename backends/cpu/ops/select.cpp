#include <cstring>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {

// y[w] = x[wanted[w]]
void select(const Select& op, const Frame& frame) noexcept {
  for (uint64_t w = 0; w < frame.step.wanted.size(); ++w)
    std::memcpy(op.y + w * op.width, op.x + uint64_t{frame.step.wanted[w]} * op.width,
                uint64_t{op.width} * sizeof(float));
}

}  // namespace ropewalk::cpu
