#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void kv_append(const Operands& op, const RopeBefore& rope, Recorder& recorder) {
  const abi::Tensor& cache = op.in(2);
  const uint32_t kv_heads = cache.dim[2], head_dim = cache.dim[3];
  const bool rotates = rope.q;
  const uint32_t heads = rotates ? rope.q->in(0).dim[1] : 0;
  const Range k = rotates ? rope.k->range(0) : op.range(0);
  const Range q = rotates ? rope.q->range(0) : Range{};
  const Range q_rotated = rotates ? rope.q->result() : Range{};
  const struct {
    VkDeviceAddress k, v, keys, values, q, q_rotated, step;
    uint32_t kv_heads, heads;
    float rope_scale;
  } push{.k = k.begin,
         .v = op.at(1),
         .keys = op.at(2),
         .values = op.at(3),
         .q = q.begin,
         .q_rotated = q_rotated.begin,
         .step = rotates ? rope.q->step() : op.step(),
         .kv_heads = kv_heads,
         .heads = heads,
         .rope_scale = rotates ? rope.q->node().rope().scale : 1};
  const uint32_t group = recorder.features().subgroup_size;
  const Dispatch dispatch{kKvAppend,
                          {group, cache.dim[1], head_dim, elements_per_word(cache.dtype), rotates},
                          {std::max(heads, kv_heads), op.shape().rows, rotates ? 3u : 2u},
                          0};
  recorder.dispatch(dispatch, push, {k, op.range(1), q}, {op.range(2), op.range(3), q_rotated});
}

}  // namespace ropewalk::vulkan
