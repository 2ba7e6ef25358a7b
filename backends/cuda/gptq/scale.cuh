// scale.cuh — the power of two that keeps a row of x inside f16.
#pragma once

#include <cstdint>

namespace ropewalk::cuda::gptq {

// 2^e with |most| / 2^e in [2^14, 2^15); 1 where there is nothing to scale, or nothing finite.
__device__ __forceinline__ float power_for(float most) {
  if (!(most > 0.0f) || most > 3.4e38f) return 1.0f;
  const int exponent = static_cast<int>(__float_as_uint(most) >> 23) - 127 - 14;
  const int clamped = exponent < -126 ? -126 : exponent;
  return __uint_as_float(static_cast<uint32_t>(clamped + 127) << 23);
}

__device__ __forceinline__ float warp_max(float most) {
  for (uint32_t mask = 16; mask; mask /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, mask));
  return most;
}

}  // namespace ropewalk::cuda::gptq
