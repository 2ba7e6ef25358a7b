// workspace.h — a program's memory beside the graph's own, and where each part of it lies.
//
// All programs of a device use the same memory, since their steps run one after another. Only the
// slices of large-batch products are filled ahead of time; they have buffers of their own.
#pragma once

#include "backends/cuda/gptq/large_batch/matmul.h"

namespace ropewalk::cuda {

struct WorkspacePointers {
  std::byte *tile_counters, *step, *partials, *prepared, *x_f16, *x_scales, *large_batch;
};

// How much a program needs of each part.
struct WorkspaceNeeds {
  // Zero between launches; the same count in all of a graph's programs.
  uint64_t tile_counters = 0;
  uint64_t step_bytes = 0;      // step_block.h
  uint64_t partial_floats = 0;  // sums of splits, partial results of attention
  uint64_t prepared_bytes = 0;  // of each of the two buffers of prepared.h
  uint32_t x_f16_rows = 0;      // x as f16 with its scales, for packed products of more rows
  uint32_t x_f16_width = 0;
  LargeBatchNeeds large_batch;

  uint64_t total() const;
  // The parts, one after another in the total() bytes from `begin` on.
  WorkspacePointers pointers(std::byte* begin) const;

 private:
  struct Offsets {
    uint64_t tile_counters, step, partials, prepared, x_f16, x_scales, large_batch, end;
  };
  Offsets offsets() const;
};

}  // namespace ropewalk::cuda
