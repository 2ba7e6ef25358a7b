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

// As it lies there, so that it can be on its way while something else is computed.
struct StoredHeader {
  uint4 first, second;  // the second of two header words a column alone
};

__device__ __forceinline__ StoredHeader load_header(uint32_t header_words, const uint32_t* group,
                                                    uint32_t lane) {
  const uint4* at = reinterpret_cast<const uint4*>(group) + lane / 4 * header_words;
  return {__ldg(at), header_words == 1 ? uint4{0, 0, 0, 0} : __ldg(at + 1)};
}

__device__ __forceinline__ Header decode(uint32_t header_words, const StoredHeader& stored) {
  Header header;
  const uint32_t words[4] = {stored.first.x, stored.first.y, stored.first.z, stored.first.w};
  if (header_words == 1) {
#pragma unroll
    for (uint32_t j = 0; j < kLaneColumns; ++j) {
      header.scale[j] = __half2float(__ushort_as_half(static_cast<uint16_t>(words[j])));
      header.zero[j] = __ushort_as_half(static_cast<uint16_t>(words[j] >> 16));
    }
    return header;
  }
  const uint32_t more[4] = {stored.second.x, stored.second.y, stored.second.z, stored.second.w};
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
