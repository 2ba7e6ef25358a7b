// tuning.h — numbers that only a measurement can settle: the option `tune`. The values here are
// what was chosen without one; docs/performance/cuda.md says by which reasoning. Stateless.
#pragma once

#include <cstdint>

namespace ropewalk::cuda {

struct Tuning {
  // crossovers.h: the most rows that a kernel multiplies.
  uint32_t lean_rows = 8, tiles8_rows = 8, tiles16_rows = 16, tiles32_rows = 32, tiles64_rows = 128;
  uint32_t dense_rows = 8;
  // gptq/division.h, in blocks of K.
  uint32_t splits = 0;        // 0: what balances the multiprocessors
  uint32_t least_blocks = 8;  // that a split has
  uint32_t start_blocks = 4;  // that beginning and finishing a thread block costs
  uint32_t busy_blocks = 3;   // thread blocks that keep a multiprocessor's memory busy
  uint32_t sum_rate = 150;    // bytes of sums that move while memory moves 100
  // gptq/lean/shares.h
  uint32_t segment_blocks = 4;  // of K that the end of a warp's part of a tile costs
  // slice_columns.h
  uint32_t slice_waves = 2;
  uint32_t slice_mib = 256;
  // attention_splits.h
  uint32_t least_keys = 64;   // of a run
  uint32_t start_keys = 64;   // that beginning a thread block and combining its run costs
  uint32_t busy_runs = 4;     // thread blocks that keep a multiprocessor's memory busy
  uint32_t prompt_rows = 64;  // from which a program attends to prompts in tiles
};

}  // namespace ropewalk::cuda
