// mma.cuh — one product of tensor cores: 16 columns of a weight, 8 rows of x, 16 terms, f32 sums.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace ropewalk::cuda::gptq {

__device__ __forceinline__ uint32_t bits_of(__half2 value) {
  return *reinterpret_cast<const uint32_t*>(&value);
}

// sum (16, 8) += a (16, 16) . b (16, 8), fragments as in the PTX manual, mma.m16n8k16. Turing has
// the half as deep instruction alone; the two halves of the fragments are its fragments.
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

}  // namespace ropewalk::cuda::gptq
