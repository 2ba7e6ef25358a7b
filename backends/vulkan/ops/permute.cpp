#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void permute(const Operands& op, Recorder& recorder) {
  const struct {
    VkDeviceAddress x, order, y, step;
    uint32_t width, over_wanted;
  } push{.x = op.at(0),
         .order = op.at(1),
         .y = op.result_at(),
         .step = op.step(),
         .width = op.width(),
         .over_wanted = op.over_wanted()};
  const Dispatch dispatch{kPermute, {kElementGroup, 1}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0)}, {op.result()});
}

}  // namespace ropewalk::vulkan
