// lean/x.h — x as gptq/lean/matmul.cu takes it: written once, by the kernel that computes x or by
// prepare_x(), and read by every thread block.
//
// A block of K of a row is 32 elements x / 2^e as f16, where e brings the max magnitude between
// 2^14 and 2^15. So every finite f32 can be represented, with the rounding of f16's 11 bits. The
// rows 2, 3, 6, 7, .. of a lane's 8 meet codes that the kernel leaves multiplied by 16 (pairs 1 and
// 3 in gptq/unpack.cuh). There the elements are divided by 16, which rounds only what is below
// 2^-25 of the max.
//
//   x_f16    | block 0: row 0 (32), row 1, .. | block 1: .. |        kRows rows a block of K
//   sums     | block 0: row 0, row 1, ..      | block 1: .. |        an XSum each
//
// A NaN or an infinity stays in its element, and so in every sum over it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/kernel/step.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kLeanMaxRows = 8;
// The rows that memory is reserved for, in a bucket of so many rows.
RW_HOST_DEVICE uint32_t lean_rows(uint32_t bucket) { return bucket == 1 ? 1 : kLeanMaxRows; }

// Sums over a block of K of a row: of the rounded elements, in units of `scale`.
struct alignas(16) XSum {
  float scale;  // 2^e
  float all;
  float high;  // over those that were divided by 16, times 16
  float unused;
};

// Whether the element of row k of a block is divided by 16.
RW_HOST_DEVICE bool is_high(uint32_t k) { return k / 2 % 2 == 1; }

struct PreparedX {
  std::byte* x_f16 = nullptr;  // (blocks, lean_rows, 32) f16; null: not needed
  XSum* sums = nullptr;        // (blocks, lean_rows)
  uint32_t rows = 0;           // lean_rows
};
inline uint64_t prepared_bytes(uint32_t rows, uint32_t depth) {
  return uint64_t{divide_up(depth, kBlockRows)} * lean_rows(rows) * (kBlockRows * 2 + sizeof(XSum));
}
inline PreparedX prepared_at(std::byte* at, uint32_t rows, uint32_t depth) {
  const uint64_t pairs = uint64_t{divide_up(depth, kBlockRows)} * lean_rows(rows);
  return {at, reinterpret_cast<XSum*>(at + pairs * kBlockRows * 2), lean_rows(rows)};
}

// x that the product itself computes, so that no kernel in front of it has to: for one row,
//
//   x[k] = from[j] * weight[j] * factor   with j = order[k] and factor = 1 / rms(from), as rms_norm
//   x[k] = from[j]                        without a weight
struct FoldedX {
  const float* from = nullptr;     // (depth) f32; null: x is prepared
  const float* weight = nullptr;   // (depth) or null
  const int32_t* order = nullptr;  // (depth) or null
  float epsilon = 0;
  bool is_half = false;  // large-batch products: `from` is f16 in units of kHalfYScale, no weight
};
// Max depth: a thread holds its elements in registers (lean/fold.cuh).
inline constexpr uint32_t kMaxFoldedDepth = 8192;

struct PrepareX {
  const float* x;  // (R, depth)
  uint32_t depth;
  PreparedX to;
  uint32_t rows;  // of the bucket
  Extent extent;
};
void prepare_x(const PrepareX& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
