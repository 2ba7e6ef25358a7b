// matmul.h — products with a packed GPTQ weight, and how their work is divided.
//
// The division is host code of its own so that the memory plan and the launch agree. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/step.h"

namespace ropewalk::cuda::gptq {

// How a product is divided among thread blocks: columns by 32, x's rows by `row_block`, the blocks
// of K into `splits` runs whose sums are added in order.
struct Division {
  uint32_t row_block;   // 8, 32 or 64
  uint32_t row_blocks;  // of the program's bucket
  uint32_t splits;
  uint32_t blocks_per_split;
};

inline constexpr uint32_t kBlocksPerMultiprocessor = 8;  // a doubt: to be measured

inline Division divide(const Layout& l, uint32_t rows, uint32_t multiprocessors) {
  Division d{};
  d.row_block = rows <= 8 ? 8 : rows <= 32 ? 32 : 64;
  d.row_blocks = divide_up(rows, d.row_block);
  const uint32_t wanted = multiprocessors * kBlocksPerMultiprocessor;
  const uint32_t there = column_tiles(l) * d.row_blocks;
  // Each of a thread block's 4 warps shall have two blocks of K at least.
  const uint32_t most = divide_up(blocks(l), 8);
  const uint32_t splits = wanted / there < 1 ? 1 : wanted / there < most ? wanted / there : most;
  d.blocks_per_split = divide_up(blocks(l), splits);
  d.splits = divide_up(blocks(l), d.blocks_per_split);
  return d;
}

// Partial sums (splits, row blocks, column tiles, row_block, 32) f32.
inline uint64_t partial_floats(const Layout& l, const Division& d) {
  if (d.splits == 1) return 0;
  return uint64_t{d.splits} * d.row_blocks * column_tiles(l) * d.row_block * kTileColumns;
}
// Arrivals (row blocks, column tiles); zero before the first launch and after each.
inline uint64_t arrival_words(const Layout& l, const Division& d) {
  return uint64_t{d.row_blocks} * column_tiles(l);
}

struct Matmul {
  const float* x;          // (R, rows of the weight)
  const uint32_t* weight;  // packed as layout.h says
  const float* bias;       // (cols) or null
  float* y;                // (R, cols)
  Layout layout;
  Division division;
  Extent extent;
  float* partials;
  uint32_t* arrivals;
};

// y = x . W + bias. Launch errors are left for cudaGetLastError().
void matmul(const Matmul& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
