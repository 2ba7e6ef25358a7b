// async.cuh — what runs asynchronously: copies to shared memory, and a kernel that starts before
// the previous one has ended (programmatic dependent launch).
//
//   sm_75            no asynchronous copies
//   sm_80 to sm_89   copies of 16 bytes: a thread commits groups of them and waits for the groups
//                    in that order
//   sm_90            bulk copies (bulk.cuh)
//
// A kernel is compiled for what its GPU has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cuda/kernel/bulk.cuh"

namespace ropewalk::cuda {

// From the oldest GPUs to the newest.
enum class Copies : uint32_t { none, async_16, bulk };

// Calls launch.operator()<kCopies>(). A kernel is compiled for each kind; those that the GPU has no
// copies for are empty (has_copies) and never launched.
template <class Launch>
void with_copies(Copies copies, const Launch& launch) {
  switch (copies) {
    case Copies::bulk:
      return launch.template operator()<Copies::bulk>();
    case Copies::async_16:
      return launch.template operator()<Copies::async_16>();
    case Copies::none:
      return launch.template operator()<Copies::none>();
  }
}

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)

// Whether the GPU that is compiled for uses this kind of copies. Kernels for another kind are
// empty.
__device__ constexpr bool has_copies(Copies kind) {
#if __CUDA_ARCH__ >= 900
  return kind == Copies::bulk;
#elif __CUDA_ARCH__ >= 800
  return kind == Copies::async_16;
#else
  return kind == Copies::none;
#endif
}

// Dynamic shared memory; the launch gives its size.
__device__ __forceinline__ std::byte* dynamic_shared() {
  extern __shared__ __align__(128) std::byte all[];
  return all;
}

// commit_copies() makes a group of the 16-byte copies that the thread has started since the last
// commit; a group may be empty. wait_for_groups() waits until all but the thread's last kLater
// groups have arrived, for this thread.
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

// The next kernel, where it is launched with Start::early, may start once every thread block has
// called let_next_kernel_start() or ended. It must call wait_for_kernel_before() before it touches
// what an earlier kernel reads or writes. In other launches neither has an effect.
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

// Atomic addition with acquire and release order at the scope of the GPU.
__device__ __forceinline__ uint32_t add_acq_rel(uint32_t* to, uint32_t value) {
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
