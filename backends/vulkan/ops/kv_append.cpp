#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void kv_append(const Operands& op, const TurnedBefore& turned, Recorder& recorder) {
  const abi::Tensor& cache = op.in(2);
  const uint32_t kv_heads = cache.dim[2], head_dim = cache.dim[3];
  const bool turns = turned.q;
  const uint32_t heads = turns ? turned.q->in(0).dim[1] : 0;
  const Range k = turns ? turned.k->range(0) : op.range(0);
  const Range q = turns ? turned.q->range(0) : Range{};
  const Range q_turned = turns ? turned.q->range(turned.q->out()) : Range{};
  const struct {
    VkDeviceAddress k, v, keys, values, q, turned, step;
    uint32_t kv_heads, heads;
    float turn_scale;
  } push{k.begin,
         op.at(1),
         op.at(2),
         op.at(3),
         q.begin,
         q_turned.begin,
         op.around().step,
         kv_heads,
         heads,
         turns ? turned.q->node().rope().scale : 1};
  const uint32_t rows = op.around().shape.rows;
  const uint32_t group = recorder.features().subgroup_size;
  const Dispatch dispatch{kKvAppend,
                          {group, 1, head_dim, elements_of_word(cache.dtype), turns},
                          {std::max(heads, kv_heads), rows, turns ? 3u : 2u},
                          0};
  recorder.dispatch(dispatch, push, {k, op.range(1), q}, {op.range(2), op.range(3), q_turned});
}

}  // namespace ropewalk::vulkan
