// workspace.h — pieces one after another in a block of memory, and the arrays of a step in such a
// block.
//
// Header-only. A layout holds only offsets, so its size is known before memory is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/abi/backend.h"
#include "core/abi/operands.h"

namespace ropewalk::abi {

constexpr uint64_t align_up(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Gives each piece its offset, a multiple of `alignment` bytes.
class WorkspaceCursor {
 public:
  constexpr explicit WorkspaceCursor(uint64_t alignment) : alignment_(alignment) {}

  constexpr uint64_t place(uint64_t bytes) {
    const uint64_t offset = end_;
    end_ += align_up(bytes, alignment_);
    return offset;
  }
  // Bytes of all pieces so far.
  constexpr uint64_t end() const { return end_; }

 private:
  uint64_t alignment_;
  uint64_t end_ = 0;
};

// The maximal number of rows of that extent in a program of this shape.
inline uint32_t max_rows(const ProgramShape& shape, Extent extent) {
  return extent == Extent::wanted ? shape.wanted : shape.rows;
}

// The arrays of a Step in device memory. Their offsets follow from the program's shape alone, so
// recorded commands can hold their addresses.
struct StepArrays {
  uint32_t pages_per_sequence, rope_pairs;
  uint64_t token, position, sequence, wanted, page, inv_freq, adapter;  // offsets in bytes

  // Places them after what `cursor` has placed; `pairs` is rope_sizes_of(graph).pairs().
  StepArrays(WorkspaceCursor& cursor, const ProgramShape& shape, uint32_t pairs)
      : pages_per_sequence(shape.pages_per_sequence),
        rope_pairs(pairs),
        token(cursor.place(uint64_t{shape.rows} * 4)),
        position(cursor.place(uint64_t{shape.rows} * 4)),
        sequence(cursor.place(uint64_t{shape.rows} * 4)),
        wanted(cursor.place(uint64_t{shape.wanted} * 4)),
        page(cursor.place(uint64_t{shape.sequences} * pages_per_sequence * 4)),
        inv_freq(cursor.place(uint64_t{shape.sequences} * rope_pairs * 4)),
        adapter(cursor.place(uint64_t{shape.sequences} * 4)) {}

  // Copies the step's arrays into the block at `to`. REQUIRES: check_step() has passed the step.
  void fill(std::byte* to, const Step& step) const {
    copy(to + token, step.token, step.rows);
    copy(to + position, step.position, step.rows);
    copy(to + sequence, step.sequence, step.rows);
    copy(to + wanted, step.wanted, step.wanted.size());
    copy(to + page, step.page, uint64_t{step.sequences} * pages_per_sequence);
    copy(to + inv_freq, step.inv_freq, uint64_t{step.sequences} * rope_pairs);
    copy(to + adapter, step.adapter, step.adapter.size());
  }

 private:
  template <class Element>
  static void copy(std::byte* to, std::span<const Element> from, uint64_t count) {
    if (count) std::memcpy(to, from.data(), count * sizeof(Element));
  }
};

}  // namespace ropewalk::abi
