// product.h — what the dispatches of matrix products share: push constants, and x as they read it.
#pragma once

#include "backends/vulkan/ops/ops.h"
#include "backends/vulkan/ops/tiling.h"

namespace ropewalk::vulkan {

// The block of weights.glsl. With PLANED the order of x's columns takes the place of x_prepared,
// with SPLIT the shared sums that of x and their counters that of row_scales.
struct MatmulPush {
  VkDeviceAddress x, codes, scales, bias, other, y, step, x_prepared, row_scales;
  uint32_t depth, width, group_size, blocks_per_group, blocks, over_wanted, has_bias, first_row;
};

MatmulPush push_of(const Operands& op, const PackedShape& weight, const Epilogue& epilogue);

// Makes of x what the product reads, in the workspace. Products of the same x share it, and so may
// run side by side.
Range prepare_x(const Operands& op, const PackedShape& weight, PreparedX kind, MatmulPush& push,
                Recorder& recorder);

// A matmul whose workgroups make the planes of x themselves, its columns in an order; 0: in their
// own. REQUIRES: is_planed(tiling).
void planed_matmul(const Operands& op, const Tiling& tiling, VkDeviceAddress order,
                   const Epilogue& epilogue, Recorder& recorder);

}  // namespace ropewalk::vulkan
