#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {

void kv_append(const Operands& op, Recorder& recorder) {
  const abi::Tensor& cache = op.in(2);
  const uint32_t kv_heads = cache.dim[2], head_dim = cache.dim[3];
  const struct {
    VkDeviceAddress k, v, keys, values, step;
    uint32_t kv_heads;
  } push{op.at(0), op.at(1), op.at(2), op.at(3), op.around().step, kv_heads};
  const uint32_t rows = op.around().shape.rows;
  const uint32_t group = recorder.features().subgroup_size;
  const Dispatch dispatch{
      kKvAppend, {group, 1, head_dim, elements_of_word(cache.dtype)}, {kv_heads, rows, 2}, 0};
  recorder.dispatch(dispatch, push, {op.range(0), op.range(1)}, {op.range(2), op.range(3)});
}

}  // namespace ropewalk::vulkan
