#include "backends/cuda/gptq/division.h"

#include <algorithm>

#include "backends/cuda/device/target.h"

namespace ropewalk::cuda::gptq {

// Doubts, to be measured (tuning.h):
// - A split has at least two blocks of K for each warp, or two stages.
// - 3 thread blocks keep the memory of a multiprocessor busy; fewer take as long. 12 warps with 4
//   blocks of 640 bytes in flight each are 30 KiB; 20.7 bytes a clock of an H200 times some 1200
//   clocks of latency under load are 25 KB.

uint32_t blocks_for_sums(const Layout& l, uint32_t row_block, const Tuning& tuning) {
  const double sums = 2.0 * row_block * kTileColumns * 100;
  const double block = block_words(l) + double{1} * kTileColumns / blocks_per_group(l);
  return static_cast<uint32_t>(sums / (block * tuning.sum_rate));
}

Division divide(const Layout& l, uint32_t tiles, uint32_t rows, uint32_t row_block,
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
