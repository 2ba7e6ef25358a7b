// step_block.h — the inputs of a program's steps: a block of its workspace at a fixed address,
// filled by one small copy a step.
#pragma once

#include "backends/cuda/kernel/step.h"
#include "backends/cuda/program/step_inputs.h"
#include "core/abi/workspace.h"

namespace ropewalk::cuda {

class StepBlock {
 public:
  // `block` has bytes() of device memory, aligned to 16; `rope_pairs` are those of a
  // sequence's RoPE tables. REQUIRES: `inputs` outlives this.
  StepBlock(StepInputs& inputs, std::byte* block, const abi::ProgramShape& shape,
            uint32_t rope_pairs);

  StepView view() const;
  // Copies the step to the device, ordered by the stream. Its spans may be reused at once.
  void send(const abi::Step& step);

  // How much device memory a block takes.
  static uint64_t bytes(const abi::ProgramShape& shape, uint32_t rope_pairs);

 private:
  struct Layout {  // offsets in bytes
    Layout(const abi::ProgramShape& shape, uint32_t rope_pairs);

    abi::WorkspaceCursor cursor;
    uint64_t counts;
    abi::StepArrays arrays;
  };

  StepInputs& inputs_;
  std::byte* const block_;
  const Layout layout_;
};

}  // namespace ropewalk::cuda
