// mma.cuh — one product of tensor cores, sum (16, 8) += a (16, 16) . b (16, 8), f16 with f32 sums,
// and loads of its operands from shared memory.
//
// Fragments as in the PTX manual, mma.m16n8k16. With g = lane / 4 and t = lane % 4:
//
//   a[0] (g, 2t..)   a[1] (g+8, 2t..)   a[2] (g, 2t+8..)   a[3] (g+8, 2t+8..)    pairs along K
//   b[0] (2t.., g)   b[1] (2t+8.., g)                                            pairs along K
//   sum[0] (g, 2t)   sum[1] (g, 2t+1)   sum[2] (g+8, 2t)   sum[3] (g+8, 2t+1)
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace ropewalk::cuda {

__device__ __forceinline__ uint32_t bits_of(__half2 value) {
  return *reinterpret_cast<const uint32_t*>(&value);
}

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)
// Turing only has the instruction of half the depth. It takes one half of the fragments at a time.
__device__ __forceinline__ void multiply_add(float (&sum)[4], const uint32_t (&a)[4],
                                             const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  for (int half = 0; half < 2; ++half)
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
        "{%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}

// Four 8 x 8 matrices of f16: lanes 8m .. 8m+7 hold the addresses of matrix m's rows, 16 bytes
// each in shared memory; to[m] is (row g, columns 2t, 2t+1), transposed (rows 2t, 2t+1, column g).
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const __half* row) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at)
               : "memory");
}
__device__ __forceinline__ void load_transposed(uint32_t (&to)[4], const __half* row) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at)
               : "memory");
}

// Copies 16 bytes to shared memory. The caller sees them after wait_for_copies(), its thread block
// after a barrier too. Turing copies through registers.
__device__ __forceinline__ void copy_16(__half* shared, const void* global) {
#if __CUDA_ARCH__ >= 800
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(global) : "memory");
#else
  *reinterpret_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
#endif
}
__device__ __forceinline__ void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}
#endif

}  // namespace ropewalk::cuda
