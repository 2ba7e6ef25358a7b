// keys[r][p] = max over the logits of piece p of row r of the logit's key. Grid (pieces of a row,
// wanted rows). Bottleneck: the launch, then one round trip to the second-level cache, where the
// product has just written the row: all loads of a thread come before the first comparison. The
// launch overlaps with the product; `wanted` is an input of the step, which is there before its
// first kernel.
#include <algorithm>

#include "backends/cuda/device/logit_maxima.h"
#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda {
namespace {

// As unsigned numbers, the bits of positive floats are in order, and those of negative ones in
// reverse order.
__device__ __forceinline__ uint64_t key_of(uint32_t bits, uint32_t id) {
  constexpr uint32_t kSign = 0x80000000u, kExponent = 0x7f800000u;
  if ((bits & kExponent) == kExponent) return kNotFiniteKey;
  if (bits == kSign) bits = 0;  // -0 equals 0
  const uint32_t in_order = bits & kSign ? ~bits : bits | kSign;
  return uint64_t{in_order} << 32 | ~id;
}

__device__ __forceinline__ uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

__device__ __forceinline__ uint64_t largest_of_warp(uint64_t key) {
  for (uint32_t mask = 16; mask; mask /= 2) {
    const uint32_t high = __shfl_xor_sync(~0u, static_cast<uint32_t>(key >> 32), mask);
    const uint32_t low = __shfl_xor_sync(~0u, static_cast<uint32_t>(key), mask);
    key = larger(key, uint64_t{high} << 32 | low);
  }
  return key;
}

__global__ void __launch_bounds__(kMaxKeyThreads)
    largest_keys_kernel(const Logits logits, uint64_t* keys) {
  __shared__ uint64_t of_warps[kMaxKeyThreads / 32];
  const bool is_wanted = blockIdx.y < *logits.wanted;
  wait_for_kernel_before();
  if (!is_wanted) return;
  const float* row = logits.at + uint64_t{blockIdx.y} * logits.width;
  const uint32_t first = blockIdx.x * blockDim.x * kKeyLogits + threadIdx.x;
  uint32_t bits[kKeyLogits];
#pragma unroll
  for (uint32_t n = 0; n < kKeyLogits; ++n) {
    const uint32_t id = first + n * blockDim.x;
    bits[n] = id < logits.width ? __float_as_uint(__ldcg(row + id)) : 0;
  }
  uint64_t key = 0;
#pragma unroll
  for (uint32_t n = 0; n < kKeyLogits; ++n) {
    const uint32_t id = first + n * blockDim.x;
    if (id < logits.width) key = larger(key, key_of(bits[n], id));
  }
  key = largest_of_warp(key);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = key;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (uint32_t w = 0; w < blockDim.x / 32; ++w) key = larger(key, of_warps[w]);
  keys[uint64_t{blockIdx.y} * gridDim.x + blockIdx.x] = key;
}

}  // namespace

// A row of fewer logits than threads needs no more of them.
void largest_keys(const Logits& logits, uint64_t* keys, Start start, cudaStream_t stream) {
  const uint32_t threads = std::min(kMaxKeyThreads, (logits.width + 31) / 32 * 32);
  const dim3 grid(pieces_of(logits.width), logits.rows);
  run_kernel_in(largest_keys_kernel, {grid, threads, 0, start, stream}, logits, keys);
}

}  // namespace ropewalk::cuda
