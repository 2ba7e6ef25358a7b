// tuning.h — numbers that only a measurement can settle: the option `tune`. These defaults were
// chosen without one; docs/performance/cuda.md gives the reasons. Stateless.
#pragma once

#include <cstdint>

namespace ropewalk::cuda {

struct Tuning {
  // crossovers.h: the max rows that a kernel multiplies.
  uint32_t lean_rows = 64, tiles8_rows = 8, tiles16_rows = 16, tiles32_rows = 32,
           tiles64_rows = 128;
  uint32_t dense_rows = 8;
  uint32_t stream_rows = 2;  // ops/dense_stream.cu: the max rows of dense weights that it streams
  // gptq/division.h, in blocks of K.
  uint32_t splits = 0;        // 0: as many as balance the multiprocessors
  uint32_t min_blocks = 8;    // of a split
  uint32_t start_blocks = 4;  // the cost of starting and finishing a thread block
  uint32_t busy_blocks = 3;   // thread blocks that keep the memory of a multiprocessor busy
  uint32_t sum_rate = 150;    // bytes of sums that move while memory moves 100
  // gptq/lean/shares.h
  uint32_t segment_blocks = 4;  // the cost of finishing a warp's part of a tile, in blocks of K
  // gptq/lean/ring.cuh
  uint32_t chunks_ahead = 5;    // of a warp, requested into the second-level cache
  uint32_t lets_next_late = 1;  // when all is requested; 0: at the begin of a streaming kernel
  // slice_columns.h
  uint32_t slice_waves = 2;
  uint32_t slice_mib = 256;
  uint32_t joined = 1;    // weights that read the same x share a slice
  uint32_t max_rows = 0;  // of a step; 0: by the size of the device (crossovers.h)
  // attention_splits.h
  uint32_t min_keys = 64;     // of a run
  uint32_t start_keys = 128;  // the cost of starting a thread block and combining its run
  uint32_t busy_runs = 4;     // thread blocks that keep the memory of a multiprocessor busy
  uint32_t ring_runs = 2;     // the same of attention_ring()
  uint32_t prompt_rows = 64;  // a program with as many attends to prompts in tiles
};

}  // namespace ropewalk::cuda
