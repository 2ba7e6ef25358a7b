// matmul.h — products of one x with packed GPTQ weights, and their epilogue in the same launch.
// Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/division.h"
#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/product.h"

namespace ropewalk::cuda::gptq {

struct Matmul : Product {
  Division division;
  float* partials;
  uint32_t* tile_counters;  // (row blocks, groups of tiles); 0 before and after
  // For a division with kWideTiles: the result of x_to_f16().
  const std::byte* x_f16;  // (rows, padded rows of the weight) f16
  const float* x_scales;   // (rows)
};

// Tiles that are finished together, by the last thread block that adds to them.
RW_HOST_DEVICE uint32_t tiles_together(const Product& op) {
  if (op.epilogue == Epilogue::gate_mul) return op.parts;
  return op.epilogue == Epilogue::rope_append ? op.append.keys.head_dim / kTileColumns : 1;
}

// Whether each thread block finishes its own sums, without partial sums in memory.
RW_HOST_DEVICE bool finishes_alone(const Product& op, uint32_t splits) {
  return splits == 1 && tiles_together(op) == 1 && op.epilogue != Epilogue::rope_append;
}

// Size of the partial sums (splits, row blocks, tiles, row_block, 32) f32; 0 where every thread
// block finishes its own tile.
inline uint64_t partial_floats(const Matmul& op) {
  const Division& d = op.division;
  if (finishes_alone(op, d.splits)) return 0;
  return uint64_t{d.splits} * d.row_blocks * d.tiles * d.row_block * kTileColumns;
}

// REQUIRES: for rope_append a head dimension that is a multiple of 32; for two parts of gate_mul
// the same number of columns. Launch errors are left for cudaGetLastError().
void matmul(const Matmul& op, const StepView& step, cudaStream_t stream);
// What matmul() calls for kWideTiles.
void matmul_wide(const Matmul& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
