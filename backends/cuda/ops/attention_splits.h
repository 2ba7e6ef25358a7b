// attention_splits.h — which kernels attend, and how many runs the keys of a row are divided into:
// host code of its own, so that the memory plan, the launch and the tests agree. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cuda/device/target.h"
#include "core/abi/graph.h"

namespace ropewalk::cuda {

// Which kernels attend in a program of so many rows.
struct AttentionKernels {
  bool tiles;  // attention_tiles() takes the rows of prompts
  bool split;  // all others go to attention_split(), else to attention()
};
struct AttentionShape {
  abi::DType cache;
  uint32_t head_dim;
  abi::KeyRotation rotation;
};
// From how many rows on a program has the kernel for prompts is a doubt, to be measured: tuning.h.
inline AttentionKernels attention_kernels(uint32_t rows, const AttentionShape& shape,
                                          const Choices& choices) {
  const uint32_t head_dim = shape.head_dim;
  const bool fast = choices.attention != AttentionChoice::plain &&
                    shape.rotation == abi::KeyRotation::before_cache && head_dim <= 128 &&
                    head_dim % 8 == 0;
  const bool tiles = choices.attention == AttentionChoice::automatic;
  return {fast && tiles && rows >= choices.tuning.prompt_rows,
          fast && !(shape.cache == abi::DType::i8 && head_dim % 16)};
}

// Doubts, to be measured (tuning.h): a run has 64 keys at least, since fewer cost more to combine
// than they save; 4 thread blocks keep a multiprocessor's memory busy, so that fewer take as long;
// beginning a thread block and combining its run costs as much as 64 keys (a key and its value are
// 512 bytes of 128 dimensions, of which an H200 streams one in 25 clocks).

// Runs of up to `most_keys` keys, where one run takes `thread_blocks`. The time is that of the
// multiprocessor with most keys: a batch of 8 with 40 heads each is 320 thread blocks, which leaves
// 132 multiprocessors with 2 or 3 each, and two runs balance them.
inline uint32_t attention_splits(uint64_t thread_blocks, uint32_t most_keys, const Target& target) {
  const Tuning& tuning = target.tuning();
  uint32_t best = 1;
  uint64_t least = ~uint64_t{0};
  for (uint32_t splits = 1; splits <= std::max(most_keys / tuning.least_keys, 1u); ++splits) {
    const uint64_t busiest = std::max<uint64_t>(
        (thread_blocks * splits + target.multiprocessors - 1) / target.multiprocessors,
        tuning.busy_runs);
    const uint64_t time = busiest * ((most_keys + splits - 1) / splits + tuning.start_keys);
    if (time >= least) continue;
    least = time;
    best = splits;
  }
  return best;
}

}  // namespace ropewalk::cuda
