#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void rope(const Operands& op, Recorder& recorder) {
  const uint32_t heads = op.in(0).dim[1], half_dim = op.in(0).dim[2] / 2;
  const struct {
    VkDeviceAddress x, y, step;
    uint32_t heads, half_dim;
    float scale;
  } push{.x = op.at(0),
         .y = op.result_at(),
         .step = op.step(),
         .heads = heads,
         .half_dim = half_dim,
         .scale = op.node().rope().scale};
  const Dispatch dispatch{
      kRope, {kElementGroup, 1}, element_groups(heads * half_dim, op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0)}, {op.result()});
}

}  // namespace ropewalk::vulkan
