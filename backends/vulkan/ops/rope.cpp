#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void rope(const Operands& op, Recorder& recorder) {
  const uint32_t heads = op.in(0).dim[1], half = op.in(0).dim[2] / 2;
  const struct {
    VkDeviceAddress x, y, step;
    uint32_t heads, half_dim;
    float scale;
  } push{op.at(0), op.result(), op.around().step, heads, half, op.node().rope().scale};
  const Dispatch dispatch{kRope, {kElementGroup, 1}, element_groups(heads * half, op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0)}, {op.range(op.out())});
}

}  // namespace ropewalk::vulkan
