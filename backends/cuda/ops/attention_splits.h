// attention_splits.h — which attention kernels a program has, and how many runs the keys of a row
// are divided into: host code that the memory plan, the launch and the tests share. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cuda/device/target.h"
#include "core/abi/graph.h"

namespace ropewalk::cuda {

// The attention kernels of a program.
struct AttentionKernels {
  bool tiles;  // attention_tiles() takes the rows of prompts
  bool split;  // attention_split() takes all others; if false, attention() does
  bool ring;   // attention_ring() does so instead, where the cache and the device allow it
  bool wgmma;  // attention_wgmma() replaces attention_tiles(), likewise
};
struct AttentionShape {
  abi::DType cache;
  uint32_t head_dim;
  abi::KeyRotation rotation;
};
// How many rows a program needs to have the kernel for prompts is a doubt, to be measured
// (tuning.h).
inline AttentionKernels attention_kernels(uint32_t rows, const AttentionShape& shape,
                                          const Choices& choices) {
  const uint32_t head_dim = shape.head_dim;
  const bool fast = choices.attention != AttentionChoice::plain &&
                    shape.rotation == abi::KeyRotation::before_cache && head_dim <= 128 &&
                    head_dim % 8 == 0;
  const bool best = fast && choices.attention != AttentionChoice::split;
  const bool tiles = best && choices.batches == Batches::fast && rows >= choices.tuning.prompt_rows;
  return {tiles, fast && !(shape.cache == abi::DType::i8 && head_dim % 16), best,
          tiles && choices.attention == AttentionChoice::wgmma};
}

// Doubts, to be measured (tuning.h):
// - A run has at least 64 keys, since combining shorter runs costs more than they save.
// - 4 thread blocks keep the memory of a multiprocessor busy, 2 of attention_ring() with 64 KiB in
//   flight each; fewer take as long.
// - Starting a thread block and combining its run costs as much as 128 keys. A key and its value
//   are 512 bytes for 128 dimensions; an H200 streams that in 25 clocks. With 64, one row with 8192
//   keys would have 4 thread blocks on a multiprocessor, and the product behind them no room to
//   start: predicted 0.86 of the ideal instead of 0.93.

// The number of runs for up to `max_keys` keys, where each run takes `thread_blocks`. It minimises
// the time of the busiest multiprocessor. Example: a batch of 8 with 40 heads each is 320 thread
// blocks, so 132 multiprocessors have 2 or 3 each; two runs balance them.
inline uint32_t attention_splits(uint64_t thread_blocks, uint32_t max_keys, uint32_t busy_runs,
                                 const Target& target) {
  const Tuning& tuning = target.tuning();
  uint32_t best = 1;
  uint64_t best_time = ~uint64_t{0};
  for (uint32_t splits = 1; splits <= std::max(max_keys / tuning.min_keys, 1u); ++splits) {
    const uint64_t busiest = std::max<uint64_t>(
        (thread_blocks * splits + target.multiprocessors - 1) / target.multiprocessors, busy_runs);
    const uint64_t time = busiest * ((max_keys + splits - 1) / splits + tuning.start_keys);
    if (time >= best_time) continue;
    best_time = time;
    best = splits;
  }
  return best;
}

}  // namespace ropewalk::cuda
