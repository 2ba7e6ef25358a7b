#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void select(const Operands& op, Recorder& recorder) {
  const struct {
    VkDeviceAddress x, y, step;
    uint32_t width;
  } push{op.at(0), op.result(), op.around().step, op.width()};
  const Dispatch dispatch{kSelect, {kElementGroup, 1}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0)}, {op.range(op.out())});
}

}  // namespace ropewalk::vulkan
