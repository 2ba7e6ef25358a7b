#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void embed(const Operands& op, Recorder& recorder) {
  const PackedShape& table = op.weight(0, abi::WeightUse::embed);
  const struct {
    VkDeviceAddress table, y, step;
    uint32_t width;
    float scale;
  } push{.table = op.at(0),
         .y = op.result_at(),
         .step = op.step(),
         .width = op.width(),
         .scale = op.node().embed().scale};
  const Dispatch dispatch{
      kEmbed, {kElementGroup, 1, table.bits}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {}, {op.result()});
}

}  // namespace ropewalk::vulkan
