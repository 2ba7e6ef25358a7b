// division.h — how the work of a product with packed weights is divided among thread blocks.
//
// Host code of its own, so that the memory plan, the launch and the tests agree. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cuda/device/target.h"
#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

// Column tiles of a thread block that stages x for all its warps: one for each.
inline constexpr uint32_t kWideTiles = 4;

// How a product is divided among thread blocks: columns by tiles, x's rows by `row_block`, the
// blocks of K into `splits` runs whose sums are added in order.
struct Division {
  uint32_t row_block;      // 8, 16, 32 or 64
  uint32_t row_blocks;     // of the program's bucket
  uint32_t tiles;          // of columns, all parts together
  uint32_t tiles_at_once;  // of a thread block: 1, its warps divide K, or kWideTiles
  uint32_t splits;
  uint32_t blocks_per_split;
};

// Doubts, to be measured (tuning.h). A split has two blocks of K for each warp or two stages at
// least. 3 thread blocks have enough on the way to keep a multiprocessor's memory busy, so that
// fewer take as long: 12 warps with 4 blocks of 640 bytes each ahead are 30 KiB; an H200's 20.7
// bytes a clock times some 1200 clocks of latency under load 25.

// Blocks of K that could be read while a split's sums are written and read again. Of one header
// word a column, as a plan is made before it is known how many there are.
inline uint32_t blocks_for_sums(const Layout& l, uint32_t row_block, const Tuning& tuning) {
  const double sums = 2.0 * row_block * kTileColumns * 100;
  const double block = block_words(l) + double{1} * kTileColumns / blocks_per_group(l);
  return static_cast<uint32_t>(sums / (block * tuning.sum_rate));
}

// As many splits as keep the multiprocessors equally busy, each thread block costing something of
// its own: the time is that of the multiprocessor with most blocks of K.
inline Division divide(const Layout& l, uint32_t tiles, uint32_t rows, uint32_t row_block,
                       const Target& target) {
  const Tuning& tuning = target.tuning();
  const uint32_t at_once = row_block == 8 ? 1 : kWideTiles;
  Division d{row_block, divide_up(rows, row_block), tiles, at_once, 1, blocks(l)};
  const uint32_t most = divide_up(blocks(l), tuning.least_blocks);
  uint64_t least = ~uint64_t{0};
  for (uint32_t splits = 1; splits <= most; ++splits) {
    const uint32_t per_split = divide_up(blocks(l), splits);
    const uint32_t thread_blocks = divide_up(tiles, at_once) * d.row_blocks * splits;
    const uint64_t busiest =
        std::max(divide_up(thread_blocks, target.multiprocessors), tuning.busy_blocks);
    const uint32_t sums = splits == 1 ? 0 : blocks_for_sums(l, row_block, tuning);
    const uint64_t time = busiest * (per_split + tuning.start_blocks + sums);
    if (time >= least) continue;
    least = time;
    d.blocks_per_split = per_split;
  }
  if (tuning.splits) d.blocks_per_split = divide_up(blocks(l), std::min(tuning.splits, blocks(l)));
  d.splits = divide_up(blocks(l), d.blocks_per_split);
  return d;
}

}  // namespace ropewalk::cuda::gptq
