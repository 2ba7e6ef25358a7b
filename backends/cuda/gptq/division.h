// division.h — how the work of a product with packed weights is divided among thread blocks.
//
// Host code that the memory plan, the launch and the tests share. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cuda/device/target.h"
#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

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

// Doubts, to be measured (tuning.h):
// - A split has at least two blocks of K for each warp, or two stages.
// - 3 thread blocks keep the memory of a multiprocessor busy; fewer take as long. 12 warps with 4
//   blocks of 640 bytes in flight each are 30 KiB; 20.7 bytes a clock of an H200 times some 1200
//   clocks of latency under load are 25 KB.

// Blocks of K that could be read while the partial sums of a split are written and read again.
// Assumes headers of one word a column, since the plan is made before the weight is packed.
inline uint32_t blocks_for_sums(const Layout& l, uint32_t row_block, const Tuning& tuning) {
  const double sums = 2.0 * row_block * kTileColumns * 100;
  const double block = block_words(l) + double{1} * kTileColumns / blocks_per_group(l);
  return static_cast<uint32_t>(sums / (block * tuning.sum_rate));
}

// Chooses the number of splits that minimises the time of the busiest multiprocessor: its blocks of
// K, and the cost of starting and finishing each thread block.
inline Division divide(const Layout& l, uint32_t tiles, uint32_t rows, uint32_t row_block,
                       const Target& target) {
  const Tuning& tuning = target.tuning();
  const uint32_t at_once = row_block == 8 ? 1 : kWideTiles;
  Division d{row_block, divide_up(rows, row_block), tiles, at_once, 1, blocks(l)};
  const uint32_t planned = target.batch_invariant() ? 1 : d.row_blocks;
  const uint32_t max_splits = divide_up(blocks(l), tuning.min_blocks);
  uint64_t best_time = ~uint64_t{0};
  for (uint32_t splits = 1; splits <= max_splits; ++splits) {
    const uint32_t per_split = divide_up(blocks(l), splits);
    const uint32_t thread_blocks = divide_up(tiles, at_once) * planned * splits;
    const uint64_t busiest =
        std::max(divide_up(thread_blocks, target.multiprocessors), tuning.busy_blocks);
    const uint32_t sums = splits == 1 ? 0 : blocks_for_sums(l, row_block, tuning);
    const uint64_t time = busiest * (per_split + tuning.start_blocks + sums);
    if (time >= best_time) continue;
    best_time = time;
    d.blocks_per_split = per_split;
  }
  if (tuning.splits) d.blocks_per_split = divide_up(blocks(l), std::min(tuning.splits, blocks(l)));
  d.splits = divide_up(blocks(l), d.blocks_per_split);
  return d;
}

}  // namespace ropewalk::cuda::gptq
