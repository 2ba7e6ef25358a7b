// x_to_f16.h — x as f16 or bf16 for gptq/lean/wide.cu, gptq/matmul_wide.cu and cuBLAS. Stateless.
//
// K is counted in whole blocks of 32, as in the tiles of the weight. Padding is 0 in x and in the
// weight, so no kernel has to look at it twice.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/lean/x.h"
#include "backends/cuda/kernel/step.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda::gptq {

// The order of the 32 elements of a block: that of the tiles, or the one in which the lanes of
// large_batch/wgmma.cu have their codes.
enum class XOrder : uint32_t { natural, pairs_of_lanes };
// Where element i of a block lies; a pair (i, i + 1), i even, stays together.
RW_HOST_DEVICE uint32_t place_of(XOrder order, uint32_t i) {
  return order == XOrder::natural ? i : i / 4 % 2 * 16 + i / 2 % 2 * 8 + i / 8 * 2 + i % 2;
}

// What a row is divided by: a power of two that brings its max into [2^14, 2^15), or into [1, 2),
// so that sums fit f16 too. There f16 keeps elements below 2^-14 to 2^-25.
enum class XRange : uint32_t { sums_in_f32, sums_in_f16 };

// Cosines and sines of a row's position, for products whose epilogue rotates.
struct Rotations {
  float2* to = nullptr;  // (rows, pairs): what rotate() makes of (1, 0); null: none
  uint32_t pairs = 0;    // half a head's dimensions
  float scale = 1;
};

struct XToF16 {
  const float* x;    // (R, rows of the weight)
  std::byte* x_f16;  // (rows, padded_rows) f16 or bf16; 0 in rows beyond the step's
  float* x_scales;   // (rows) powers of two
  abi::DType dtype;
  Layout layout;
  uint32_t rows;
  Extent extent;
  XOrder order = XOrder::natural;
  XRange range = XRange::sums_in_f32;
  Rotations rotations = {};
};
// x_f16[r] = x[r] / x_scales[r].
void x_to_f16(const XToF16& op, const StepView& step, cudaStream_t stream);

// The same where `op.x` is not read, since the kernel computes x: the norm or the order of FoldedX,
// of any number of rows.
void fold_to_f16(const XToF16& op, const FoldedX& x, const StepView& step, cudaStream_t stream);
// Shared memory for that: the row.
inline uint32_t fold_bytes(const Layout& l) { return divide_up(l.rows, 4) * 16; }

}  // namespace ropewalk::cuda::gptq
