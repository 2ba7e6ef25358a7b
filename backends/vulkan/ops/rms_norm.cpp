#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void rms_norm(const Operands& op, Recorder& recorder) {
  const uint32_t width = op.in(1).dim[0], runs = op.width() / width;
  // On a processor a workgroup of one vector needs no barriers between its parts. On a GPU one run
  // has one workgroup, and the fewer loads follow one another in it the sooner it ends.
  const Features& features = recorder.features();
  const uint32_t group =
      features.processor ? features.subgroup_size : std::min(features.max_invocations, 512u);
  std::optional<Derived> planes = planes_of_result(op, features);
  const uint64_t shared = (uint64_t{width} * 33 / 32 + group) * sizeof(float);
  if (runs > 1 || shared > features.shared_bytes) planes.reset();
  const struct {
    VkDeviceAddress x, weight, order, y, step, planes;
    uint32_t width, over_wanted;
    float epsilon;
  } push{.x = op.at(0),
         .weight = op.at(1),
         .order = op.at(2),
         .y = op.result_at(),
         .step = op.step(),
         .planes = planes ? planes->result.begin : 0,
         .width = width,
         .over_wanted = op.over_wanted(),
         .epsilon = op.node().norm().epsilon};
  constexpr uint32_t kMaxAtOnce = 10;  // a whole run of 5120 columns, and few registers
  const uint32_t at_once = std::clamp((width + group - 1) / group, 1u, kMaxAtOnce);
  const Dispatch dispatch{kRmsNorm,
                          {group, 1, op.has(2), features.processor ? 1 : at_once,
                           planes.has_value(), planes ? width : 1},
                          {runs, op.rows(), 1},
                          4.0 * op.rows() * op.width()};
  recorder.dispatch(dispatch, push, {op.range(0)},
                    {op.result(), planes ? planes->result : Range{}});
  if (planes) recorder.remember(*planes);
}

}  // namespace ropewalk::vulkan
