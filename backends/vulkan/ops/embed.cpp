#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void embed(const Operands& op, Recorder& recorder) {
  const PackedShape& table = op.weight(0, abi::WeightUse::embed);
  const struct {
    VkDeviceAddress table, y, step;
    uint32_t width;
  } push{op.at(0), op.result(), op.around().step, op.width()};
  const Dispatch dispatch{
      kEmbed, {kElementGroup, 1, table.bits}, element_groups(op.width(), op.rows()), 0};
  recorder.dispatch(dispatch, push, {}, {op.range(op.out())});
}

}  // namespace ropewalk::vulkan
