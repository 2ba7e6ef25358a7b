// bulk.cuh — copies of whole pieces into shared memory (cp.async.bulk) that one thread asks for,
// and the barriers (mbarrier) that say when a piece is there. From Hopper on.
//
// A barrier counts phases. One that waits for one arrival ends a phase when that thread has called
// copy_bulk() and all of its bytes have come; wait_for(parity) returns when the phase of that
// parity has ended, so a ring of pieces waits for 0, 1, 0, 1, .. in turn.
#pragma once

#include <cstdint>

namespace ropewalk::cuda {

struct Barrier {
  uint64_t state;
};

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)
__device__ __forceinline__ uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}

#if __CUDA_ARCH__ >= 900
// Of one thread; the others may use the barrier after fence_barriers() and __syncthreads(), or
// __syncwarp() where no other warp does.
__device__ __forceinline__ void begin_barrier(Barrier& barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
               "r"(arrivals)
               : "memory");
}
__device__ __forceinline__ void fence_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// Addresses and bytes are multiples of 16.
__device__ __forceinline__ void copy_bulk(void* shared, const void* global, uint32_t bytes,
                                          Barrier& barrier) {
  const uint32_t at = shared_address(&barrier);
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(bytes)
               : "memory");
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(at)
      : "memory");
}
__device__ __forceinline__ void wait_for(Barrier& barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred there;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 there, [%0], %1;\n"
      "@!there bra again;\n}" ::"r"(shared_address(&barrier)),
      "r"(parity)
      : "memory");
}
#else
// Kernels that copy in bulk are not launched on other cards.
__device__ __forceinline__ void begin_barrier(Barrier&, uint32_t) { __trap(); }
__device__ __forceinline__ void fence_barriers() {}
__device__ __forceinline__ void copy_bulk(void*, const void*, uint32_t, Barrier&) {}
__device__ __forceinline__ void wait_for(Barrier&, uint32_t) {}
#endif
#endif

}  // namespace ropewalk::cuda
