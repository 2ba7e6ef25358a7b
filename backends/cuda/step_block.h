// step_block.h — the inputs of a program's steps: a block of device memory at a fixed address, and
// two pinned ones that fill it in turn.
//
// One small copy a step. The pinned blocks alternate so that a step can be written while the copy
// of the one before is under way; an event says when a block may be written again.
#pragma once

#include "backends/cuda/memory.h"
#include "backends/cuda/step.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

class StepBlock {
 public:
  // Begins as a step of no rows. `half_dim` is half the head dimension of the graph's rotations; 0
  // where it has none.
  StepBlock(Context& context, Memory& memory, const abi::ProgramShape& shape, uint32_t half_dim);
  ~StepBlock();
  StepBlock(const StepBlock&) = delete;
  StepBlock& operator=(const StepBlock&) = delete;

  StepView view() const;
  // Sends the step after what the stream already holds; its spans may be reused at once. Throws
  // Failure (invalid_argument) for one larger than the shape or whose spans do not fit one another.
  void send(const abi::Step& step);

  // Of device memory.
  static uint64_t bytes(const abi::ProgramShape& shape, uint32_t half_dim);

 private:
  struct Layout {  // offsets in bytes
    Layout(const abi::ProgramShape& shape, uint32_t half_dim);
    uint64_t counts, token, position, sequence, wanted, page, inv_freq, end;
  };
  struct Pinned {
    std::byte* data = nullptr;
    cudaEvent_t free = nullptr;
  };

  void release();
  void check(const abi::Step& step) const;
  void fill(std::byte* to, const abi::Step& step) const;

  Context& context_;
  Memory& memory_;
  const abi::ProgramShape shape_;
  const uint32_t half_dim_;
  const Layout layout_;
  std::byte* block_ = nullptr;
  Pinned pinned_[2];
  uint32_t next_ = 0;
};

}  // namespace ropewalk::cuda
