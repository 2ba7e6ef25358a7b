// scale.cuh — the power of two that keeps a row of x inside f16.
#pragma once

#include <cstdint>

namespace ropewalk::cuda::gptq {

// 2^e with max / 2^e in [2^14, 2^15); 1 where max is 0 or not finite.
__device__ __forceinline__ float power_of_two_for(float max) {
  if (!(max > 0.0f) || max > 3.4e38f) return 1.0f;
  const int exponent = static_cast<int>(__float_as_uint(max) >> 23) - 127 - 14;
  const int clamped = exponent < -126 ? -126 : exponent;
  return __uint_as_float(static_cast<uint32_t>(clamped + 127) << 23);
}

}  // namespace ropewalk::cuda::gptq
