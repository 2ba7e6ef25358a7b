// division.h — how the work of a product with packed weights is divided among thread blocks.
//
// Host code of its own, so that the memory plan, the launch and the tests agree. Stateless.
#pragma once

#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

// How a product is divided among thread blocks: columns by 32, x's rows by `row_block`, the blocks
// of K into `splits` runs whose sums are added in order.
struct Division {
  uint32_t row_block;   // 8, 32 or 64
  uint32_t row_blocks;  // of the program's bucket
  uint32_t tiles;       // of columns, all parts together
  uint32_t splits;
  uint32_t blocks_per_split;
};

// Doubts, to be measured: blocks of K that a split has at least, two for each warp, and what
// beginning and finishing a thread block costs in them.
inline constexpr uint32_t kLeastBlocksOfSplit = 8, kBlocksForStarting = 4;

// As many splits as keep the multiprocessors equally busy, each thread block costing something of
// its own: the time is that of the multiprocessor with most blocks of K.
inline Division divide(const Layout& l, uint32_t tiles, uint32_t rows, uint32_t row_block,
                       uint32_t multiprocessors) {
  Division d{row_block, divide_up(rows, row_block), tiles, 1, blocks(l)};
  const uint32_t most = divide_up(blocks(l), kLeastBlocksOfSplit);
  uint64_t least = ~uint64_t{0};
  for (uint32_t splits = 1; splits <= most; ++splits) {
    const uint32_t per_split = divide_up(blocks(l), splits);
    const uint64_t busiest = divide_up(tiles * d.row_blocks * splits, multiprocessors);
    const uint64_t time = busiest * (per_split + kBlocksForStarting);
    if (time >= least) continue;
    least = time;
    d.blocks_per_split = per_split;
  }
  d.splits = divide_up(blocks(l), d.blocks_per_split);
  return d;
}

}  // namespace ropewalk::cuda::gptq
