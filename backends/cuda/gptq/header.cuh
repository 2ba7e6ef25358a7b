// header.cuh — scales and zeros of a lane's four columns.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

struct Header {
  float scale[kLaneColumns];
  __half zero[kLaneColumns];
};

// Of one header word a column: scale and zero as two f16.
__device__ __forceinline__ Header decode_f16(const uint4& stored) {
  const uint32_t words[4] = {stored.x, stored.y, stored.z, stored.w};
  Header header;
#pragma unroll
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    header.scale[j] = __half2float(__ushort_as_half(static_cast<uint16_t>(words[j])));
    header.zero[j] = __ushort_as_half(static_cast<uint16_t>(words[j] >> 16));
  }
  return header;
}

// Of two: each an f32.
__device__ __forceinline__ Header decode_f32(const uint4& first, const uint4& second) {
  const uint32_t words[8] = {first.x,  first.y,  first.z,  first.w,
                             second.x, second.y, second.z, second.w};
  Header header;
#pragma unroll
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    header.scale[j] = __uint_as_float(words[2 * j]);
    header.zero[j] = __float2half(__uint_as_float(words[2 * j + 1]));
  }
  return header;
}

}  // namespace ropewalk::cuda::gptq
