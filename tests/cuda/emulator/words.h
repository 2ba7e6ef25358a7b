// words.h — CUDA's keywords and functions for a CPU, included in front of every source of the
// backend that the emulator compiles.
//
// It has only what the kernels use, as CUDA's manuals define it. Products of tensor cores are
// computed in double from the fragments as the PTX manual draws them.
#pragma once

// Blocks run one after another, so all of them can use the same shared memory.
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/bulk.cuh"
#include "backends/cuda/kernel/launch.cuh"
#include "backends/cuda/kernel/wgmma.cuh"
#include "tests/cuda/emulator/block.h"
#include "tests/cuda/emulator/bulk.h"
#include "tests/cuda/emulator/wgmma.h"

#define threadIdx ropewalk::emulator::thread_index
#define blockIdx ropewalk::emulator::block_index
#define blockDim ropewalk::emulator::block_size
#define gridDim ropewalk::emulator::grid_size

namespace ropewalk::emulator {

// Adds the launch to the stream or its recording. An error of the shape is left for
// cudaGetLastError().
void launch(const Shape& shape, cudaStream_t stream, std::function<void()> body);

template <class Value>
Value exchange_one(Value value, uint32_t lane) {
  static_assert(sizeof(Value) == 4);
  return std::bit_cast<Value>(exchange({std::bit_cast<uint32_t>(value)})[lane][0]);
}
inline uint32_t lane() { return thread_index.x % 32; }

// A table, since conversions would take most of the time of a product.
inline float half_value(uint16_t bits) {
  static const std::vector<float> values = [] {
    std::vector<float> all(1 << 16);
    for (uint32_t i = 0; i < all.size(); ++i)
      all[i] = __half2float(__ushort_as_half(static_cast<uint16_t>(i)));
    return all;
  }();
  return values[bits];
}

}  // namespace ropewalk::emulator

inline void __syncthreads() { ropewalk::emulator::wait_for_block(); }
inline void __syncwarp() { ropewalk::emulator::exchange({}); }
inline void __threadfence() {}

template <class Value>
Value __shfl_xor_sync(unsigned, Value value, unsigned mask) {
  return ropewalk::emulator::exchange_one(value, ropewalk::emulator::lane() ^ mask);
}
template <class Value>
Value __shfl_sync(unsigned, Value value, unsigned from) {
  return ropewalk::emulator::exchange_one(value, from % 32);
}
inline int __all_sync(unsigned, int holds) {
  const ropewalk::emulator::Words* all = ropewalk::emulator::exchange({holds ? 1u : 0u});
  return std::all_of(all, all + 32, [](const auto& words) { return words[0] == 1; });
}

template <class Value>
Value __ldg(const Value* at) {
  return *at;
}
template <class Value>
Value __ldcs(const Value* at) {
  return *at;
}
template <class Value>
Value __ldcg(const Value* at) {
  return *at;
}
template <class Value>
void __stcs(Value* at, Value value) {
  *at = value;
}
inline unsigned atomicAdd(unsigned* at, unsigned value) {
  const unsigned before = *at;
  *at += value;
  return before;
}

inline unsigned atomicMin(unsigned* at, unsigned value) {
  const unsigned before = *at;
  *at = std::min(before, value);
  return before;
}

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline long long __double_as_longlong(double value) { return std::bit_cast<long long>(value); }
inline double __longlong_as_double(long long bits) { return std::bit_cast<double>(bits); }

inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((uint64_t{high} << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const uint64_t bytes = uint64_t{high} << 32 | low;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i)
    result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  return result;
}
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  const float2 x = __half22float2(a), y = __half22float2(b), z = __half22float2(c);
  return __floats2half2_rn(std::fma(x.x, y.x, z.x), std::fma(x.y, y.y, z.y));
}
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, void (*kernel)()) {
  return cudaFuncGetAttributes(attributes, reinterpret_cast<const void*>(kernel));
}
using std::isfinite;
using std::max;
using std::min;

namespace ropewalk::cuda {

template <class... Parameters, class... Arguments>
void run_kernel(void (*kernel)(Parameters...), dim3 grid, uint32_t threads, cudaStream_t stream,
                const Arguments&... arguments) {
  emulator::launch({grid, threads, 0, false}, stream, [=] { kernel(arguments...); });
}
template <class... Parameters, class... Arguments>
void run_kernel_in(void (*kernel)(Parameters...), const LaunchShape& shape,
                   const Arguments&... arguments) {
  emulator::launch({shape.grid, shape.threads, shape.shared_bytes, shape.start == Start::early},
                   shape.stream, [=] { kernel(arguments...); });
}

template <class... Parameters>
uint32_t resident_blocks(void (*)(Parameters...), uint32_t) {
  return 2;
}

// Barriers and bulk copies, as bulk.cuh declares them.
inline void begin_barrier(Barrier& barrier, uint32_t arrivals) {
  emulator::begin_barrier(&barrier, arrivals);
}
inline void fence_barriers() {}
inline void arrive(Barrier& barrier) { emulator::arrive(&barrier); }
inline void expect_bytes(Barrier& barrier, uint32_t bytes) {
  emulator::expect_bytes(&barrier, bytes);
}
inline void copy_part(void* shared, const void* global, uint32_t bytes, Barrier& barrier) {
  emulator::start_part(shared, global, bytes, &barrier);
}
inline void copy_bulk(void* shared, const void* global, uint32_t bytes, Barrier& barrier) {
  expect_bytes(barrier, bytes);
  copy_part(shared, global, bytes, barrier);
}
inline void prefetch_bulk(const void* global, uint32_t bytes) { emulator::prefetch(global, bytes); }
inline void copy_box(void* shared, const TensorMap& map, uint32_t row, uint32_t column,
                     Barrier& barrier) {
  emulator::start_box(shared, map, row, column, &barrier);
}
inline void wait_for(Barrier& barrier, uint32_t parity) {
  emulator::wait_for_phase(&barrier, parity);
}
// Counted from the start of dynamic shared memory.
inline uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(static_cast<const std::byte*>(at) - emulator::shared_memory());
}

// The warpgroup's products, as wgmma.cuh declares them.
template <FirstSum kFirst>
void start_product(WgmmaSums& sum, uint64_t a, uint64_t b) {
  emulator::start_product({sum, kFirst == FirstSum::given, std::nullopt, a, b, false});
}
template <KOfRows kB>
void start_product(WgmmaSums& sum, const uint32_t (&a)[4], uint64_t b) {
  emulator::start_product({sum, true, std::to_array(a), 0, b, kB == KOfRows::across});
}
inline void order_products() {}
inline void commit_products() { emulator::commit_products(); }
template <uint32_t kLater>
void wait_for_products() {
  emulator::wait_for_products(kLater);
}
inline void settle(WgmmaSums&) {}
inline void publish_shared() {}
template <Registers kChange, uint32_t kCount>
void set_registers() {}

// mma.m16n8k16 of f16 with f32 sums, as mma.cuh declares it.
inline void multiply_add(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  // each lane converts its own fragments, once for all lanes: the pairs of a, then those of b
  emulator::Words mine;
  for (uint32_t half = 0; half < 12; ++half) {
    const uint32_t pair = half < 8 ? a[half / 2] : b[half / 2 - 4];
    mine[half] =
        std::bit_cast<uint32_t>(emulator::half_value(static_cast<uint16_t>(pair >> half % 2 * 16)));
  }
  const emulator::Words* all = emulator::exchange(mine);
  const auto value = [](uint32_t word) { return double{std::bit_cast<float>(word)}; };
  const uint32_t lane = emulator::lane();
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    double total = static_cast<double>(sum[i]);
    for (uint32_t k = 0; k < 16; ++k) {
      const emulator::Words& left = all[row % 8 * 4 + k % 8 / 2];
      const emulator::Words& right = all[column * 4 + k % 8 / 2];
      total += value(left[row / 8 * 2 + k / 8 * 4 + k % 2]) * value(right[8 + k / 8 * 2 + k % 2]);
    }
    sum[i] = static_cast<float>(total);
  }
}

// ldmatrix.x4, as mma.cuh declares it: the lanes' rows by address.
template <class Pick>
void load_four(uint32_t (&to)[4], const __half* row, const Pick& pick) {
  const auto address = std::bit_cast<uint64_t>(row);
  const emulator::Words* all =
      emulator::exchange({static_cast<uint32_t>(address), static_cast<uint32_t>(address >> 32)});
  for (uint32_t m = 0; m < 4; ++m) {
    const auto element = [&](uint32_t r, uint32_t column) {
      const emulator::Words& words = all[m * 8 + r];
      const auto* at = std::bit_cast<const uint16_t*>(uint64_t{words[1]} << 32 | words[0]);
      return uint32_t{at[column]};
    };
    to[m] = pick(element);
  }
}
inline void load_matrices(uint32_t (&to)[4], const __half* row) {
  const uint32_t g = emulator::lane() / 4, t = emulator::lane() % 4;
  load_four(to, row, [=](const auto& at) { return at(g, 2 * t) | at(g, 2 * t + 1) << 16; });
}
inline void load_transposed(uint32_t (&to)[4], const __half* row) {
  const uint32_t g = emulator::lane() / 4, t = emulator::lane() % 4;
  load_four(to, row, [=](const auto& at) { return at(2 * t, g) | at(2 * t + 1, g) << 16; });
}
inline void copy_16(__half* shared, const void* global) { emulator::start_copy(shared, global); }
inline void wait_for_copies() { emulator::finish_copies(); }

// What async.cuh declares: this device has every kind of copies.
constexpr bool has_copies(Copies) { return true; }
inline std::byte* dynamic_shared() { return emulator::shared_memory(); }
inline void start_copy_16(void* shared, const void* global) {
  emulator::start_copy(shared, global);
}
inline void commit_copies() { emulator::close_group(); }
template <uint32_t kLater>
void wait_for_groups() {
  emulator::finish_groups(kLater);
}
inline void let_next_kernel_start() {}
inline void wait_for_kernel_before() { emulator::wait_for_kernel(); }
inline uint32_t add_acq_rel(uint32_t* to, uint32_t value) { return atomicAdd(to, value); }

}  // namespace ropewalk::cuda
