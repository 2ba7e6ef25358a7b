#include "backends/cuda/program/step_block.h"

#include <cstring>

namespace ropewalk::cuda {

StepBlock::Layout::Layout(const abi::ProgramShape& shape, uint32_t rope_pairs)
    : cursor(16), counts(cursor.place(3 * sizeof(uint32_t))), arrays(cursor, shape, rope_pairs) {}

uint64_t StepBlock::bytes(const abi::ProgramShape& shape, uint32_t rope_pairs) {
  return Layout(shape, rope_pairs).cursor.end();
}

StepBlock::StepBlock(StepInputs& inputs, std::byte* block, const abi::ProgramShape& shape,
                     uint32_t rope_pairs)
    : inputs_(inputs), block_(block), layout_(shape, rope_pairs) {
  inputs_.reserve(layout_.cursor.end());
}

StepView StepBlock::view() const {
  const auto at = [&](uint64_t offset) { return static_cast<void*>(block_ + offset); };
  return {static_cast<const uint32_t*>(at(layout_.counts)),
          static_cast<const int32_t*>(at(layout_.arrays.token)),
          static_cast<const uint32_t*>(at(layout_.arrays.position)),
          static_cast<const uint32_t*>(at(layout_.arrays.sequence)),
          static_cast<const uint32_t*>(at(layout_.arrays.wanted)),
          static_cast<const uint32_t*>(at(layout_.arrays.page)),
          static_cast<const float*>(at(layout_.arrays.inv_freq)),
          static_cast<const uint32_t*>(at(layout_.arrays.adapter)),
          layout_.arrays.pages_per_sequence,
          layout_.arrays.rope_pairs};
}

void StepBlock::send(const abi::Step& step) {
  inputs_.send(block_, layout_.cursor.end(), [&](std::byte* to) {
    const uint32_t counts[3] = {step.rows, static_cast<uint32_t>(step.wanted.size()),
                                step.prompt_rows};
    std::memcpy(to + layout_.counts, counts, sizeof counts);
    layout_.arrays.fill(to, step);
  });
}

}  // namespace ropewalk::cuda
