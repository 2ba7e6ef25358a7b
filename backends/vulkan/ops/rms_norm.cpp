#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void rms_norm(const Operands& op, Recorder& recorder) {
  const struct {
    VkDeviceAddress x, weight, order, y, step;
    uint32_t width, over_wanted;
    float epsilon;
  } push{.x = op.at(0),
         .weight = op.at(1),
         .order = op.at(2),
         .y = op.result_at(),
         .step = op.step(),
         .width = op.width(),
         .over_wanted = op.over_wanted(),
         .epsilon = op.node().norm().epsilon};
  // On a processor a workgroup of one vector needs no barriers between its parts. On a GPU one row
  // has one workgroup, and the fewer loads follow one another in it the sooner it ends.
  const Features& features = recorder.features();
  const uint32_t group =
      features.processor ? features.subgroup_size : std::min(features.max_invocations, 512u);
  constexpr uint32_t kMaxAtOnce = 10;  // the whole row at 5120 columns, and few registers
  const uint32_t at_once = std::clamp((op.width() + group - 1) / group, 1u, kMaxAtOnce);
  const Dispatch dispatch{kRmsNorm,
                          {group, 1, op.has(2), features.processor ? 1 : at_once},
                          {1, op.rows(), 1},
                          4.0 * op.rows() * op.width()};
  recorder.dispatch(dispatch, push, {op.range(0)}, {op.result()});
}

}  // namespace ropewalk::vulkan
