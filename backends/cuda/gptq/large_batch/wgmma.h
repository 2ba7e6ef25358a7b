// wgmma.h — a large-batch product of 4-bit weights that stay packed: gptq/large_batch/wgmma.cu, in
// place of dequantise() and cuBLAS where the option large-batch=wgmma asks for it. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/large_batch/epilogue.h"
#include "backends/cuda/gptq/product.h"

namespace ropewalk::cuda::gptq {

// Tiles [first, first + count) of a weight.
struct TilesOfWeight {
  const std::byte* weight;
  uint32_t first, count;
};

// What becomes of the sums: they are written; or the epilogue follows in the kernel, for columns of
// their own, for pairs of gate and up, or for heads whose halves are rotated.
enum class WgmmaEnd : uint32_t { sums, columns, pairs, heads };

struct WgmmaMatmul {
  TilesOfWeight part[kMaxParts];  // their sums lie side by side; for another end: all tiles
  uint32_t parts;
  Layout layout;           // small headers; of all parts alike, columns excepted
  const std::byte* x_f16;  // (rows, padded_rows) f16 in XOrder::pairs_of_lanes
  float* sums;             // (rows, 32 a tile) f32, a row every `pitch`
  uint64_t pitch;
  uint32_t rows;  // of the bucket
  Extent extent;
  WgmmaEnd end = WgmmaEnd::sums;
  // for another end
  Product product = {};
  XScales x_scales = nullptr;
  GatedX gated = {};                  // in place of y, for pairs; in XOrder::pairs_of_lanes
  const float2* rotations = nullptr;  // (rows, head_dim / 2)
};

// The end that a product can have in the kernel; `sums` where it has none.
WgmmaEnd wgmma_end_of(const Product& product);
// Whether the GPU and the weights suit the kernel.
bool can_use_wgmma(const Product& product, uint32_t capability, uint32_t shared_bytes);
void wgmma_matmul(const WgmmaMatmul& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
