// division.h — how the work of a product with packed weights is divided among thread blocks.
//
// Host code that the memory plan, the launch and the tests share. Stateless.
#pragma once

#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda {

// device/target.h, which kernels do not see
struct Target;
struct Tuning;

namespace gptq {

// Column tiles of a thread block whose warps share x: one for each warp.
inline constexpr uint32_t kWideTiles = 4;

// Columns are divided by tiles, rows of x by `row_block`, and the blocks of K into `splits` runs
// whose partial sums are added in order.
struct Division {
  uint32_t row_block;      // 8, 16, 32 or 64
  uint32_t row_blocks;     // in the program's bucket
  uint32_t tiles;          // column tiles of all parts
  uint32_t tiles_at_once;  // per thread block: 1, with K divided among its warps, or kWideTiles
  uint32_t splits;
  uint32_t blocks_per_split;
};

// Blocks of K that could be read while the partial sums of a split are written and read again.
// Assumes headers of one word a column, since the plan is made before the weight is packed.
uint32_t blocks_for_sums(const Layout& l, uint32_t row_block, const Tuning& tuning);

// Chooses the number of splits that minimises the time of the busiest multiprocessor: its blocks of
// K, and the cost of starting and finishing each thread block.
Division divide(const Layout& l, uint32_t tiles, uint32_t rows, uint32_t row_block,
                const Target& target);

}  // namespace gptq
}  // namespace ropewalk::cuda
