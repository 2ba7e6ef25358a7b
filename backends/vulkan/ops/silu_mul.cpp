#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void silu_mul(const Operands& op, Recorder& recorder) {
  const struct {
    VkDeviceAddress gate, up, y, step;
    uint32_t width, over_wanted;
  } push{op.at(0), op.at(1), op.result(), op.around().step, op.width(), op.over_wanted()};
  const Dispatch dispatch{kSiluMul, {kElementGroup, 1}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0), op.range(1)}, {op.range(op.out())});
}

}  // namespace ropewalk::vulkan
