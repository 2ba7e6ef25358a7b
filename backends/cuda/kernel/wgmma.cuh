// wgmma.cuh — products of the tensor cores that a warpgroup (4 warps, the first a multiple of 4)
// starts and later waits for: sum (64, 128) += a (64, 16) . b (16, 128), f16 with f32 sums. For
// sm_90a alone. wgmma_layout.h says how operands lie in shared memory.
//
// Warp w of the warpgroup has the rows 16w .. 16w+15. Of these a lane has the same fragments as of
// mma.cuh's product: sum[n][i] is sum[i] of the columns 8n .. 8n+7, and a[i] is the same.
//
//   order_products();                 registers and shared memory are ready
//   start_product(..); ..
//   commit_products();                ends a group
//   wait_for_products<N>();           all groups but the last N have ended
//   settle(sum);                      the compiler may read sums only from here on
//
// Between, nobody touches the sums, the registers of `a` or what the descriptors point to. Shared
// memory that threads wrote is visible after publish_shared() of each and a barrier.
#pragma once

#include <cstdint>

#include "backends/cuda/kernel/bulk.cuh"
#include "backends/cuda/kernel/wgmma_layout.h"

namespace ropewalk::cuda {

using WgmmaSums = float[16][4];

// Where K runs in the rows of b's panels: along them, or across (wgmma_layout.h).
enum class KOfRows : uint32_t { along, across };
enum class FirstSum : uint32_t { zero, given };

enum class Registers : uint32_t { fewer, more };

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)
#define RW_FOUR(n) "+f"(sum[n][0]), "+f"(sum[n][1]), "+f"(sum[n][2]), "+f"(sum[n][3])
#define RW_SUMS                                                                                   \
  RW_FOUR(0), RW_FOUR(1), RW_FOUR(2), RW_FOUR(3), RW_FOUR(4), RW_FOUR(5), RW_FOUR(6), RW_FOUR(7), \
      RW_FOUR(8), RW_FOUR(9), RW_FOUR(10), RW_FOUR(11), RW_FOUR(12), RW_FOUR(13), RW_FOUR(14),    \
      RW_FOUR(15)
#define RW_WGMMA                                                     \
  "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "             \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"          \
  "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31," \
  "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
  "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "

// a and b from shared memory, K along the rows of both.
template <FirstSum kFirst>
__device__ __forceinline__ void start_product(WgmmaSums& sum, uint64_t a, uint64_t b) {
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n" RW_WGMMA
               "%64, %65, add, 1, 1, 0, 0;\n}"
               : RW_SUMS
               : "l"(a), "l"(b), "n"(kFirst == FirstSum::given));
}
// a from registers, b from shared memory.
template <KOfRows kB>
__device__ __forceinline__ void start_product(WgmmaSums& sum, const uint32_t (&a)[4], uint64_t b) {
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, 1, 0;\n" RW_WGMMA
               "{%64,%65,%66,%67}, %68, add, 1, 1, %69;\n}"
               : RW_SUMS
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kB == KOfRows::across));
}
#undef RW_WGMMA
#undef RW_SUMS
#undef RW_FOUR

__device__ __forceinline__ void order_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <uint32_t kLater>
__device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLater) : "memory");
}
__device__ __forceinline__ void settle(WgmmaSums& sum) {
#pragma unroll
  for (float(&four)[4] : sum)
#pragma unroll
    for (float& value : four) asm volatile("" : "+f"(value)::"memory");
}
// Changes how many registers a thread has, for whole warpgroups.
template <Registers kChange, uint32_t kCount>
__device__ __forceinline__ void set_registers() {
  if constexpr (kChange == Registers::fewer)
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
  else
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}
__device__ __forceinline__ void publish_shared() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
#endif

}  // namespace ropewalk::cuda
