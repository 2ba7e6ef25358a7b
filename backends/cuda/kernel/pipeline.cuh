// pipeline.cuh — for kernels in which one warp requests stages and two warpgroups multiply them
// (wgmma.cuh): a barrier signals that a stage has come, another that all have done with it.
#pragma once

#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/wgmma_layout.h"

namespace ropewalk::cuda {

// A stage's place in a ring. Who reads stages waits for the barrier of those that have come with
// `parity`; who requests them, for that of the free ones with the other parity, so that the first
// round does not wait.
template <uint32_t kStages>
struct Place {
  uint32_t stage = 0, parity = 0;

  __device__ __forceinline__ void advance() {
    stage = (stage + 1) % kStages;
    if (stage == 0) parity ^= 1;
  }
};

// The same in all lanes, and the compiler knows it: products must not lie on divergent paths.
__device__ __forceinline__ uint32_t warp_index() { return __shfl_sync(~0u, threadIdx.x / 32, 0); }

// Dynamic shared memory from the first multiple of an atom on. The launch adds kAtomBytes.
__device__ __forceinline__ std::byte* dynamic_atoms() {
  std::byte* memory = dynamic_shared();
  return memory + (kAtomBytes - shared_address(memory) % kAtomBytes) % kAtomBytes;
}

}  // namespace ropewalk::cuda
