// bulk.cuh — bulk copies into shared memory (cp.async.bulk), which one thread starts, and the
// barriers (mbarrier) that signal their arrival. From Hopper on.
//
// A barrier counts phases. A barrier of one arrival ends a phase when a thread has called
// copy_bulk() and all of its bytes have arrived. wait_for(parity) returns when the phase of that
// parity has ended, so a ring waits for the parities 0, 1, 0, 1, ..
#pragma once

#include <cstdint>

#include "backends/cuda/kernel/tensor_map.h"

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
// Called by one thread. The others may use the barrier after fence_barriers() and __syncthreads();
// where only one warp uses it, __syncwarp() is enough.
__device__ __forceinline__ void begin_barrier(Barrier& barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
               "r"(arrivals)
               : "memory");
}
__device__ __forceinline__ void fence_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// One arrival, for parts and boxes that follow and have `bytes` together.
__device__ __forceinline__ void expect_bytes(Barrier& barrier, uint32_t bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
      "r"(bytes)
      : "memory");
}
// Addresses and bytes are multiples of 16.
__device__ __forceinline__ void copy_part(void* shared, const void* global, uint32_t bytes,
                                          Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(&barrier))
      : "memory");
}
__device__ __forceinline__ void copy_bulk(void* shared, const void* global, uint32_t bytes,
                                          Barrier& barrier) {
  expect_bytes(barrier, bytes);
  copy_part(shared, global, bytes, barrier);
}
// Asks the second-level cache to load what will be copied later. Addresses and bytes are multiples
// of 16.
__device__ __forceinline__ void prefetch_bulk(const void* global, uint32_t bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(global), "r"(bytes) : "memory");
}
// The box whose first element is (row, column); 0 for what of it is outside of the matrix. `shared`
// is a multiple of 1024.
__device__ __forceinline__ void copy_box(void* shared, const TensorMap& map, uint32_t row,
                                         uint32_t column, Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, "
      "%3}], [%4];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(column), "r"(row), "r"(shared_address(&barrier))
      : "memory");
}
__device__ __forceinline__ void arrive(Barrier& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier))
               : "memory");
}
__device__ __forceinline__ void wait_for(Barrier& barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred ended;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
      "@!ended bra again;\n}" ::"r"(shared_address(&barrier)),
      "r"(parity)
      : "memory");
}
#else
// Kernels with bulk copies are not launched on other GPUs.
__device__ __forceinline__ void begin_barrier(Barrier&, uint32_t) { __trap(); }
__device__ __forceinline__ void fence_barriers() {}
__device__ __forceinline__ void copy_bulk(void*, const void*, uint32_t, Barrier&) {}
__device__ __forceinline__ void expect_bytes(Barrier&, uint32_t) {}
__device__ __forceinline__ void copy_part(void*, const void*, uint32_t, Barrier&) {}
__device__ __forceinline__ void prefetch_bulk(const void*, uint32_t) {}
__device__ __forceinline__ void copy_box(void*, const TensorMap&, uint32_t, uint32_t, Barrier&) {}
__device__ __forceinline__ void arrive(Barrier&) {}
__device__ __forceinline__ void wait_for(Barrier&, uint32_t) {}
#endif
#endif

}  // namespace ropewalk::cuda
