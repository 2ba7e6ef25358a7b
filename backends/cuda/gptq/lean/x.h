// lean/x.h — x as gptq/lean/matmul.cu takes it: made once by the kernel that makes x, or by
// prepare_x(), and read by every thread block.
//
// A block of K of a row is 32 halves x / 2^e, e such that the largest is in [2^14, 2^15): every
// finite f32 has its place, and rounding is that of f16's 11 bits. The rows 2, 3, 6, 7, .. of a
// lane's 8 meet codes that the kernel leaves multiplied by 16 (gptq/unpack.cuh's pairs 1 and 3):
// there the halves are divided by 16, which rounds nothing but what is below 2^-25 of the largest.
//
//   halves   | block 0: row 0 (32), row 1, .. | block 1: .. |        kRows rows a block of K
//   sums     | block 0: row 0, row 1, ..      | block 1: .. |        an XSum each
//
// A NaN or an infinity stays in its half and so in every sum over it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/kernel/step.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kLeanMostRows = 8;
// Rows that there is room for, for a bucket of so many.
RW_HOST_DEVICE uint32_t lean_rows(uint32_t bucket) { return bucket == 1 ? 1 : kLeanMostRows; }

// Of a block of K of a row, in units of `scale`, of the halves as they were rounded.
struct alignas(16) XSum {
  float scale;  // 2^e
  float all;
  float high;  // of those that were divided by 16, times 16
  float unused;
};

// Whether a row of a block is one of those.
RW_HOST_DEVICE bool is_high(uint32_t k) { return k / 2 % 2 == 1; }

struct PreparedX {
  std::byte* halves;  // (blocks, lean_rows, 32) f16
  XSum* sums;         // (blocks, lean_rows)
  uint32_t rows;      // lean_rows
};
inline uint64_t prepared_bytes(uint32_t rows, uint32_t depth) {
  return uint64_t{divide_up(depth, kBlockRows)} * lean_rows(rows) * (kBlockRows * 2 + sizeof(XSum));
}
inline PreparedX prepared_at(std::byte* at, uint32_t rows, uint32_t depth) {
  const uint64_t pairs = uint64_t{divide_up(depth, kBlockRows)} * lean_rows(rows);
  return {at, reinterpret_cast<XSum*>(at + pairs * kBlockRows * 2), lean_rows(rows)};
}

struct PrepareX {
  const float* x;  // (R, depth)
  uint32_t depth;
  PreparedX to;
  uint32_t rows;  // of the bucket
  Extent extent;
};
void prepare_x(const PrepareX& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
