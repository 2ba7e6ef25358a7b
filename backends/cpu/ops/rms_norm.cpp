#include <cmath>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

// 16 interleaved sums become vector code. Their order is the same for every row.
float sum_of_squares(const float* x, uint32_t count) {
  float sums[16] = {};
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (uint32_t lane = 0; lane < 16; ++lane) sums[lane] += x[i + lane] * x[i + lane];
  float sum = 0;
  for (const float part : sums) sum += part;
  for (; i < count; ++i) sum += x[i] * x[i];
  return sum;
}

}  // namespace

// For each run x of a row: m = x / sqrt(mean(x^2) + epsilon); y[i] = m[order[i]] * weight[order[i]]
void rms_norm(const RmsNorm& op, const Frame& frame) noexcept {
  const uint64_t runs = uint64_t{frame.rows(op.extent)} * op.runs;
  frame.pool.split(runs, 0.5 * static_cast<double>(runs * op.width),
                   [&](uint64_t first, uint64_t last) noexcept {
                     for (uint64_t r = first; r < last; ++r) {
                       const float* x = op.x + r * op.width;
                       float* y = op.y + r * op.width;
                       const float mean =
                           sum_of_squares(x, op.width) / static_cast<float>(op.width);
                       const float root = std::sqrt(mean + op.epsilon);
                       if (op.order)
                         for (uint32_t i = 0; i < op.width; ++i) {
                           const int32_t j = op.order[i];
                           y[i] = x[j] / root * op.weight[j];
                         }
                       else
                         for (uint32_t i = 0; i < op.width; ++i) y[i] = x[i] / root * op.weight[i];
                     }
                   });
}

}  // namespace ropewalk::cpu
