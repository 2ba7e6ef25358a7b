#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void gate_mul(const Operands& op, const Shader& activation, Recorder& recorder) {
  const struct {
    VkDeviceAddress gate, up, y, step;
    uint32_t width, over_wanted;
  } push{.gate = op.at(0),
         .up = op.at(1),
         .y = op.result_at(),
         .step = op.step(),
         .width = op.width(),
         .over_wanted = op.over_wanted()};
  const Dispatch dispatch{activation, {kElementGroup, 1}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {op.range(0), op.range(1)}, {op.result()});
}

}  // namespace ropewalk::vulkan
