#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void select(const Operands& op, Recorder& recorder) {
  const struct {
    VkDeviceAddress x, y, step;
    uint32_t width;
  } push{.x = op.at(0), .y = op.result_at(), .step = op.step(), .width = op.width()};
  const Dispatch dispatch{kSelect, {kElementGroup, 1}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0)}, {op.result()});
}

}  // namespace ropewalk::vulkan
