// attention_splits.h — how many runs the keys of a row are divided into: host code of its own, so
// that the memory plan, the launch and the tests agree. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ropewalk::cuda {

// A run has 64 keys at least: fewer cost more to combine than they save.
inline constexpr uint32_t kLeastKeysOfRun = 64;

// Doubts, to be measured: thread blocks of a multiprocessor that keep its memory busy, so that
// fewer take as long; what beginning a thread block and combining its run costs, in keys (a key and
// its value are 512 bytes of 128 dimensions, of which an H200 streams one in 25 clocks).
inline constexpr uint32_t kBusyAttentionBlocks = 4, kKeysForStarting = 64;

// Runs of up to `most_keys` keys, where one run takes `thread_blocks`. The time is that of the
// multiprocessor with most keys: a batch of 8 with 40 heads each is 320 thread blocks, which leaves
// 132 multiprocessors with 2 or 3 each, and two runs balance them.
inline uint32_t attention_splits(uint64_t thread_blocks, uint32_t most_keys,
                                 uint32_t multiprocessors) {
  uint32_t best = 1;
  uint64_t least = ~uint64_t{0};
  for (uint32_t splits = 1; splits <= std::max(most_keys / kLeastKeysOfRun, 1u); ++splits) {
    const uint64_t busiest = std::max<uint64_t>(
        (thread_blocks * splits + multiprocessors - 1) / multiprocessors, kBusyAttentionBlocks);
    const uint64_t time = busiest * ((most_keys + splits - 1) / splits + kKeysForStarting);
    if (time >= least) continue;
    least = time;
    best = splits;
  }
  return best;
}

}  // namespace ropewalk::cuda
