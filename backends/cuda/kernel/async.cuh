// async.cuh — what runs beside the threads that asked for it: copies to shared memory, and a kernel
// that begins before the one in front of it has ended.
//
// From sm_90 on there are copies in bulk (bulk.cuh). sm_80 to sm_89 have copies of 16 bytes: a
// thread commits groups of them and waits for the groups in that order. sm_75 has none. A kernel is
// compiled for what its GPU has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cuda/kernel/bulk.cuh"

namespace ropewalk::cuda {

// In the order of what GPUs can do.
enum class Copies : uint32_t { none, sixteens, bulk };

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)

// Whether the GPU that is compiled for takes this kind of copies; another one's kernels are empty.
__device__ constexpr bool has_copies(Copies kind) {
#if __CUDA_ARCH__ >= 900
  return kind == Copies::bulk;
#elif __CUDA_ARCH__ >= 800
  return kind == Copies::sixteens;
#else
  return kind == Copies::none;
#endif
}

// Dynamic shared memory, whose size the launch gives.
__device__ __forceinline__ std::byte* dynamic_shared() {
  extern __shared__ __align__(128) std::byte all[];
  return all;
}

// Copies of 16 bytes that the thread has begun since the last commit become a group, also an empty
// one; it waits until all but its last kLater groups are there, for itself.
__device__ __forceinline__ void start_copy_16(void* shared, const void* global) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
               "l"(global)
               : "memory");
#endif
}
__device__ __forceinline__ void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <uint32_t kLater>
__device__ __forceinline__ void wait_for_groups() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kLater) : "memory");
#endif
}

// The kernel after this one, launched with Start::early, may begin once every thread block has said
// so or ended. It must call wait_for_kernel_before() before it touches what a kernel before it
// writes. Neither does anything in a launch that is not early.
__device__ __forceinline__ void let_next_kernel_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ __forceinline__ void wait_for_kernel_before() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Adds after everything that the thread has written or seen, and before all that it reads then.
__device__ __forceinline__ uint32_t add_in_order(uint32_t* to, uint32_t value) {
  uint32_t before;
  asm volatile(
      "fence.acq_rel.gpu;\n"
      "atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
      : "=r"(before)
      : "l"(to), "r"(value)
      : "memory");
  return before;
}

#endif

}  // namespace ropewalk::cuda
