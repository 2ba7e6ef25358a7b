// epilogue.h — what becomes of the sums of a large-batch product: kernels behind cuBLAS
// (epilogue.cu), or the end of the product's own kernel (wgmma_epilogue.cuh). Stateless.
//
// With the option epilogues=separate, sums are f32, and every step between two products reads and
// writes f32. With `fused` (the default) x is f16 from its producer on, in the order of the blocks
// of K of the product that reads it, and cuBLAS's sums are f16; so are queries, and what attention
// leaves to o, where its kernel for prompts runs. The residual stays f32. In a layer of Llama with
// the hidden size H, the intermediate size I, and as many heads of keys as of queries, a row moves,
// without weights and the keys that attention reads, in bytes:
//
//                                      separate     fused, cuBLAS      fused, wgmma
//   norm, x of q k v                     8H + 6H           6H                6H
//   q k v                               2H + 12H      2H + 6H          2H + 2H + 4H
//   bias, RoPE, append          12H + 12H + 20H     6H + 2H + 4H             0
//   attention (q, y), order              8H + 8H           4H                4H
//   x of o                                    6H           4H                4H
//   o and residual                 2H + 4H + 12H   2H + 2H + 10H          2H + 8H
//   norm, x of gate and up               8H + 6H           6H                6H
//   gate, up, silu             2H + 8I + 8I + 4I   2H + 4I + 4I + 2I       2H + 2I
//   x of down                            4I + 2I           0                  0
//   down and residual              2I + 4H + 12H   2I + 2H + 10H          2I + 8H
//   all                              144H + 28I      68H + 12I           48H + 4I
//   Llama-2-13B, H 5120, I 13824          1.12 MB      0.51 MB            0.30 MB
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/product.h"
#include "backends/cuda/gptq/x_to_f16.h"

namespace ropewalk::cuda::gptq {

// silu(gate) * up becomes f16 before the max of its row is known, so all rows have one scale: f16
// then holds up to 2^20, and from 2^-10 on with all of its bits. The same is true of f16 sums over
// it.
inline constexpr float kGatedScale = 16.0f;

// That product of gate and up as the next product's x.
struct GatedX {
  std::byte* x_f16 = nullptr;  // (rows, width) f16; null: y is written instead
  uint32_t width = 0;          // padded to blocks; the padding is written as 0
};
inline GatedX gated_at(std::byte* at, uint32_t cols) {
  return {at, divide_up(cols, kBlockRows) * kBlockRows};
}

// Scales of x: null means kGatedScale for every row.
using XScales = const float*;

// Columns [first, first + columns) of a result whose rows have `cols`.
struct Finish {
  // (rows, columns) each, a row every `pitch`; the second of gate_mul with two parts, or null
  const void* sums[2];
  abi::DType sum_type;   // f32 or f16
  uint64_t pitch;        // f16: a multiple of 4, like `first`
  const float* bias[2];  // (cols) or null
  XScales x_scales;      // (rows)
  const float* other;    // (R, cols) or null
  float* y;              // (R, cols)
  GatedX gated;          // in place of y; in XOrder::natural
  Epilogue epilogue;     // none, add or gate_mul
  Activation activation;
  uint32_t first, columns, cols, rows;
  Extent extent;
};
// With p = sums * x_scales[r] + bias: y = p, other + p, a(other) * p or a(p0) * p1.
void finish(const Finish& op, const StepView& step, cudaStream_t stream);

// Queries, keys and values as f16 sums: RopeAppend with the scales of x and the biases in front.
struct AppendHalves {
  RopeAppend append;   // without q, k and v
  const __half* sums;  // (rows, heads of all parts), a row every `pitch`
  uint64_t pitch;
  uint32_t first[3];        // columns of the parts
  const float* bias[3];     // or null
  XScales x_scales;         // (rows)
  const float2* rotations;  // (rows, head_dim / 2)
};
void append_halves(const AppendHalves& op, const Launch& launch);

}  // namespace ropewalk::cuda::gptq
