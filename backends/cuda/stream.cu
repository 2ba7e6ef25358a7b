// Grid-stride loops over 16-byte words. Bottleneck: memory, which is what they measure.
#include <cuda_fp16.h>

#include "backends/cuda/launch.cuh"
#include "backends/cuda/stream.h"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kThreads = 512;

__global__ void read_kernel(const uint4* from, uint64_t words, uint32_t* sink) {
  uint32_t sum = 0;
  const uint64_t stride = uint64_t{gridDim.x} * kThreads;
#pragma unroll 8
  for (uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x; i < words; i += stride) {
    const uint4 word = __ldcs(from + i);
    sum += word.x ^ word.y ^ word.z ^ word.w;
  }
  if (sum == 0x9e3779b9u) *sink = sum;  // keeps the loop; the buffer holds zeros
}

__global__ void copy_kernel(const uint4* from, uint4* to, uint64_t words) {
  const uint64_t stride = uint64_t{gridDim.x} * kThreads;
#pragma unroll 8
  for (uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x; i < words; i += stride)
    __stcs(to + i, __ldcs(from + i));
}

__global__ void fill_kernel(__half* to, uint64_t count) {
  const uint64_t stride = uint64_t{gridDim.x} * kThreads;
  for (uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += stride) {
    uint32_t x = static_cast<uint32_t>(i) * 0x9e3779b9u;
    x = (x ^ x >> 15) * 0x85ebca6bu;
    to[i] = __float2half(static_cast<float>(x >> 8) * 0x1p-23f - 1.0f);
  }
}

}  // namespace

void read_stream(const std::byte* from, uint64_t bytes, uint32_t* sink, uint32_t blocks,
                 cudaStream_t stream) {
  run_kernel(read_kernel, blocks, kThreads, stream, reinterpret_cast<const uint4*>(from),
             bytes / 16, sink);
}

void copy_stream(const std::byte* from, std::byte* to, uint64_t bytes, uint32_t blocks,
                 cudaStream_t stream) {
  run_kernel(copy_kernel, blocks, kThreads, stream, reinterpret_cast<const uint4*>(from),
             reinterpret_cast<uint4*>(to), bytes / 16);
}

void fill_halves(std::byte* to, uint64_t count, uint32_t blocks, cudaStream_t stream) {
  run_kernel(fill_kernel, blocks, kThreads, stream, reinterpret_cast<__half*>(to), count);
}

}  // namespace ropewalk::cuda
