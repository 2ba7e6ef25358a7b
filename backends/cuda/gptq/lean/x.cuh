// lean/x.cuh — a warp prepares a block of 32 elements of a row of x, as lean/x.h says.
#pragma once

#include <cuda_fp16.h>

#include "backends/cuda/gptq/lean/x.h"
#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda::gptq {

// `value` is the lane's element of the block, 0 beyond the end of the row.
// REQUIRES: all lanes of the warp.
__device__ __forceinline__ void prepare_block(const PreparedX& to, uint32_t block, uint32_t row,
                                              float value) {
  const uint32_t lane = threadIdx.x % 32;
  const float scale = power_of_two_for(warp_max(fabsf(value)));
  const float divisor = is_high(lane) ? 16.0f : 1.0f;
  const __half half = __float2half(value * (1.0f / scale) * (1.0f / divisor));
  const float rounded = __half2float(half) * divisor;
  const float all = warp_sum(rounded), high = warp_sum(is_high(lane) ? rounded : 0.0f);
  const uint64_t place = uint64_t{block} * to.rows + row;
  reinterpret_cast<__half*>(to.x_f16)[place * kBlockRows + lane] = half;
  if (lane == 0) to.sums[place] = {scale, all, high, 0.0f};
}

}  // namespace ropewalk::cuda::gptq
