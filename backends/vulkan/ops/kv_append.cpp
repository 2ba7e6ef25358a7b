#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void kv_append(const Operands& op, const Heads& from, Recorder& recorder) {
  const abi::Tensor& cache = op.in(2);
  const uint32_t kv_heads = cache.dim[2], head_dim = cache.dim[3];
  const Operands* rope = from.rope_of_q;
  const uint32_t heads = rope ? rope->in(0).dim[1] : 0;
  const Range q_rotated = rope ? rope->result() : Range{};
  const struct {
    VkDeviceAddress k, v, keys, values, q, q_rotated, step;
    uint32_t kv_heads, heads;
    float rope_scale;
  } push{.k = from.k.begin,
         .v = from.v.begin,
         .keys = op.at(2),
         .values = op.at(3),
         .q = from.q.begin,
         .q_rotated = q_rotated.begin,
         .step = rope ? rope->step() : op.step(),
         .kv_heads = kv_heads,
         .heads = heads,
         .rope_scale = rope ? rope->node().rope().scale : 1};
  const uint32_t group = recorder.features().subgroup_size;
  const uint32_t rotate = !rope ? 0 : push.rope_scale == 1 ? 1 : 2;
  const Dispatch dispatch{kKvAppend,
                          {group, cache.dim[1], head_dim, elements_per_word(cache.dtype), rotate},
                          {std::max(heads, kv_heads), op.shape().rows, rope ? 3u : 2u},
                          0};
  recorder.dispatch(dispatch, push, {from.k, from.v, from.q},
                    {op.range(2), op.range(3), q_rotated});
}

}  // namespace ropewalk::vulkan
