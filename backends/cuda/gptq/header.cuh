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

__device__ __forceinline__ Header load_header(const Layout& l, const uint32_t* group,
                                              uint32_t lane) {
  Header header;
  const uint4* at = reinterpret_cast<const uint4*>(group) + lane / 4 * l.header_words;
  const uint4 first = __ldg(at);
  const uint32_t words[4] = {first.x, first.y, first.z, first.w};
  if (l.header_words == 1) {
#pragma unroll
    for (uint32_t j = 0; j < kLaneColumns; ++j) {
      header.scale[j] = __half2float(__ushort_as_half(static_cast<uint16_t>(words[j])));
      header.zero[j] = __ushort_as_half(static_cast<uint16_t>(words[j] >> 16));
    }
    return header;
  }
  const uint4 second = __ldg(at + 1);
  const uint32_t more[4] = {second.x, second.y, second.z, second.w};
#pragma unroll
  for (uint32_t j = 0; j < 2; ++j) {
    header.scale[j] = __uint_as_float(words[2 * j]);
    header.zero[j] = __float2half(__uint_as_float(words[2 * j + 1]));
    header.scale[j + 2] = __uint_as_float(more[2 * j]);
    header.zero[j + 2] = __float2half(__uint_as_float(more[2 * j + 1]));
  }
  return header;
}

}  // namespace ropewalk::cuda::gptq
