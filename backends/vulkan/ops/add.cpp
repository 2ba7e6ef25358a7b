#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void add(const Operands& op, Recorder& recorder) {
  const struct {
    VkDeviceAddress a, b, y, step;
    uint32_t width, over_wanted;
    float scale;
  } push{.a = op.at(0),
         .b = op.at(1),
         .y = op.result_at(),
         .step = op.step(),
         .width = op.width(),
         .over_wanted = op.over_wanted(),
         .scale = op.node().add().scale};
  const Dispatch dispatch{kAdd, {kElementGroup, 1}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0), op.range(1)}, {op.result()});
}

}  // namespace ropewalk::vulkan
