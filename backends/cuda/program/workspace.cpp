#include "backends/cuda/program/workspace.h"

#include "core/abi/workspace.h"

namespace ropewalk::cuda {

WorkspaceNeeds::Offsets WorkspaceNeeds::offsets() const {
  abi::WorkspaceCursor cursor(256);
  Offsets at{};
  at.tile_counters = cursor.place(tile_counters * 4);
  at.step = cursor.place(step_bytes);
  at.partials = cursor.place(partial_floats * 4);
  at.prepared = cursor.place(2 * prepared_bytes);
  at.x_f16 = cursor.place(uint64_t{x_f16_rows} * x_f16_width * 2);
  at.x_scales = cursor.place(uint64_t{x_f16_rows} * 4);
  at.large_batch = cursor.place(large_batch.total());
  at.end = cursor.end();
  return at;
}

WorkspacePointers WorkspaceNeeds::pointers(std::byte* begin) const {
  const Offsets at = offsets();
  return {begin + at.tile_counters, begin + at.step,     begin + at.partials,   begin + at.prepared,
          begin + at.x_f16,         begin + at.x_scales, begin + at.large_batch};
}

uint64_t WorkspaceNeeds::total() const { return offsets().end; }

}  // namespace ropewalk::cuda
