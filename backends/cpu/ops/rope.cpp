#include <cmath>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {

// a = position * inv_freq[i], c = cos(a) * scale, t = sin(a) * scale; for each head
// y[i] = x[i] c - x[i+d/2] t, y[i+d/2] = x[i+d/2] c + x[i] t; a pair of frequency 0 is copied
void rope(const Rope& op, const Frame& frame) noexcept {
  const uint32_t half = op.head_dim / 2;
  const uint64_t width = uint64_t{op.heads} * op.head_dim;
  const double cost = frame.step.rows * (20.0 * half + 0.5 * static_cast<double>(width));
  frame.pool.split(frame.step.rows, cost, [&](uint64_t first, uint64_t last) noexcept {
    float cosine[kMaxHeadDim / 2], sine[kMaxHeadDim / 2];
    for (uint64_t r = first; r < last; ++r) {
      const float position = static_cast<float>(frame.step.position[r]);
      const uint64_t table = uint64_t{frame.step.sequence[r]} * frame.rope.tables + op.params.table;
      const float* inv_freq = frame.step.inv_freq.data() + table * half;
      for (uint32_t i = 0; i < half; ++i) {
        const float angle = position * inv_freq[i], scale = inv_freq[i] == 0 ? 1 : op.params.scale;
        cosine[i] = std::cos(angle) * scale;
        sine[i] = std::sin(angle) * scale;
      }
      for (uint32_t head = 0; head < op.heads; ++head) {
        const float* x = op.x + r * width + head * op.head_dim;
        float* y = op.y + r * width + head * op.head_dim;
        frame.kernels.rotate({x, x + half, cosine, sine, y, y + half, half});
      }
    }
  });
}

}  // namespace ropewalk::cpu
