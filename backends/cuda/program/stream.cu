// Grid-stride loops over 16-byte words, and a ring of bulk copies. Bottleneck: memory, which is
// what they measure. All thread blocks run at once, so that the last part is not read by a few of
// them.
//
// Bytes in flight per multiprocessor: kAtOnce x 16 B x threads; an H200 needs some 45 KB.
#include "backends/cuda/kernel/bulk.cuh"
#include "backends/cuda/kernel/launch.cuh"
#include "backends/cuda/program/stream.h"
#include "core/abi/random_fill.h"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kThreads = 512;

// At most as many thread blocks as a multiprocessor has threads for, else ptxas refuses the kernel:
// 2048 threads on sm_80, sm_90 and sm_10x, 1024 on sm_75, 1536 elsewhere (CUDA C++ Programming
// Guide, "Compute Capabilities").
constexpr uint32_t at_most(uint32_t blocks) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 800 || __CUDA_ARCH__ / 100 == 9 || \
    __CUDA_ARCH__ / 100 == 10
  constexpr uint32_t kPerMultiprocessor = 2048;
#elif __CUDA_ARCH__ < 800
  constexpr uint32_t kPerMultiprocessor = 1024;
#else
  constexpr uint32_t kPerMultiprocessor = 1536;
#endif
  return blocks < kPerMultiprocessor / kThreads ? blocks : kPerMultiprocessor / kThreads;
}

// Calls `take` for each word of the thread, with kAtOnce loads in flight. Unrolling alone would not
// issue loads together: each would wait for the comparison in front of it.
template <uint32_t kAtOnce, class Take>
__device__ __forceinline__ void each_word(const uint4* from, uint64_t words, const Take& take) {
  const uint64_t stride = uint64_t{gridDim.x} * kThreads;
  uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  for (; i + (kAtOnce - 1) * stride < words; i += kAtOnce * stride) {
    uint4 some[kAtOnce];
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) some[n] = __ldcs(from + i + n * stride);
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) take(i + n * stride, some[n]);
  }
  for (; i < words; i += stride) take(i, __ldcs(from + i));
}

// Keeps the compiler from removing the loop.
__device__ __forceinline__ void end_sum(uint32_t sum, uint32_t* sink) {
  if (sum == 0x9e3779b9u) *sink = sum;
}

template <uint32_t kAtOnce, uint32_t kBlocks>
__global__ void __launch_bounds__(kThreads, at_most(kBlocks))
    read_kernel(const uint4* from, uint64_t words, uint32_t* sink) {
  uint32_t sum = 0;
  each_word<kAtOnce>(
      from, words, [&](uint64_t, const uint4& word) { sum += word.x ^ word.y ^ word.z ^ word.w; });
  end_sum(sum, sink);
}

template <uint32_t kAtOnce, uint32_t kBlocks>
__global__ void __launch_bounds__(kThreads, at_most(kBlocks))
    copy_kernel(const uint4* from, uint4* to, uint64_t words) {
  each_word<kAtOnce>(from, words, [&](uint64_t at, const uint4& word) { __stcs(to + at, word); });
}

// Each warp has a ring of pieces; a thread block has 40 KB in flight. A lane reads one word a
// piece.
constexpr uint32_t kRingWarps = 4, kStages = 5, kPieceBytes = 2048;

struct Rings {
  alignas(128) std::byte pieces[kRingWarps][kStages][kPieceBytes];
  Barrier barriers[kRingWarps][kStages];
};

__global__ void __launch_bounds__(kRingWarps * 32)
    read_ring_kernel(const std::byte* from, uint64_t pieces, uint32_t* sink) {
  __shared__ Rings rings;
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint64_t stride = uint64_t{gridDim.x} * kRingWarps;
  const auto send = [&](uint32_t stage, uint64_t piece) {
    if (lane == 0 && piece < pieces)
      copy_bulk(rings.pieces[warp][stage], from + piece * kPieceBytes, kPieceBytes,
                rings.barriers[warp][stage]);
  };
  if (lane == 0) {
    for (Barrier& barrier : rings.barriers[warp]) begin_barrier(barrier, 1);
    fence_barriers();
  }
  uint64_t piece = uint64_t{blockIdx.x} * kRingWarps + warp;
  for (uint32_t s = 0; s < kStages; ++s) send(s, piece + s * stride);
  __syncwarp();
  uint32_t sum = 0;
  for (uint32_t stage = 0, parity = 0; piece < pieces; piece += stride) {
    wait_for(rings.barriers[warp][stage], parity);
    sum += reinterpret_cast<const volatile uint32_t*>(rings.pieces[warp][stage])[lane];
    __syncwarp();
    send(stage, piece + kStages * stride);
    if (++stage < kStages) continue;
    stage = 0;
    parity ^= 1;
  }
  end_sum(sum, sink);
}

// A hash of the index: Murmur's finaliser.
__global__ void fill_kernel(uint4* to, uint64_t words, uint32_t seed) {
  const uint64_t stride = uint64_t{gridDim.x} * kThreads;
  for (uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x; i < words; i += stride) {
    uint32_t four[4];
#pragma unroll
    for (uint32_t n = 0; n < 4; ++n) {
      uint32_t x =
          (static_cast<uint32_t>(i) * 4 + n) ^ static_cast<uint32_t>(i >> 30) * 0x9e3779b9u;
      x = (x + seed * 0x9e3779b9u) * 0x85ebca6bu;
      x = (x ^ x >> 13) * 0xc2b2ae35u;
      four[n] = ((x ^ x >> 16) & abi::kRandomBits) | abi::kFixedBits;
    }
    to[i] = {four[0], four[1], four[2], four[3]};
  }
}

template <uint32_t kAtOnce, uint32_t kBlocks>
ReadStream read_by(const StreamDevice& device) {
  const uint32_t blocks =
      device.multiprocessors * resident_blocks(read_kernel<kAtOnce, kBlocks>, kThreads);
  return [blocks](const std::byte* from, uint64_t bytes, uint32_t* sink, cudaStream_t stream) {
    run_kernel(read_kernel<kAtOnce, kBlocks>, blocks, kThreads, stream,
               reinterpret_cast<const uint4*>(from), bytes / 16, sink);
  };
}

template <uint32_t kAtOnce, uint32_t kBlocks>
CopyStream copy_by(const StreamDevice& device) {
  const uint32_t blocks =
      device.multiprocessors * resident_blocks(copy_kernel<kAtOnce, kBlocks>, kThreads);
  return [blocks](const std::byte* from, std::byte* to, uint64_t bytes, cudaStream_t stream) {
    run_kernel(copy_kernel<kAtOnce, kBlocks>, blocks, kThreads, stream,
               reinterpret_cast<const uint4*>(from), reinterpret_cast<uint4*>(to), bytes / 16);
  };
}

// With at most `max_blocks` thread blocks a multiprocessor. The rest that is no whole piece is
// skipped.
ReadStream read_by_ring(const StreamDevice& device, uint32_t max_blocks) {
  const uint32_t resident = resident_blocks(read_ring_kernel, kRingWarps * 32);
  const uint32_t blocks = device.multiprocessors * std::min(resident, max_blocks);
  return [blocks](const std::byte* from, uint64_t bytes, uint32_t* sink, cudaStream_t stream) {
    run_kernel(read_ring_kernel, blocks, kRingWarps * 32, stream, from, bytes / kPieceBytes, sink);
  };
}

}  // namespace

std::vector<ReadStream> read_streams(const StreamDevice& device) {
  std::vector<ReadStream> all = {read_by<8, 2>(device), read_by<8, 3>(device),
                                 read_by<4, 4>(device)};
  if (device.copies_in_bulk) {
    all.push_back(read_by_ring(device, 2));
    all.push_back(read_by_ring(device, ~0u));
  }
  return all;
}

std::vector<CopyStream> copy_streams(const StreamDevice& device) {
  return {copy_by<8, 2>(device), copy_by<4, 3>(device), copy_by<4, 4>(device)};
}

void fill_random(std::byte* to, uint64_t bytes, uint32_t seed, const StreamDevice& device,
                 cudaStream_t stream) {
  run_kernel(fill_kernel, device.multiprocessors * 4, kThreads, stream,
             reinterpret_cast<uint4*>(to), bytes / 16, seed);
}

}  // namespace ropewalk::cuda
