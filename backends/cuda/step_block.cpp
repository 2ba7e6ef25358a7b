#include "backends/cuda/step_block.h"

#include <cstring>

#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

template <class Element>
void copy(std::byte* to, std::span<const Element> from, uint64_t count) {
  if (count) std::memcpy(to, from.data(), count * sizeof(Element));
}

}  // namespace

StepBlock::Layout::Layout(const abi::ProgramShape& shape, uint32_t half_dim) {
  end = 0;
  const auto place = [&](uint64_t elements) {
    const uint64_t at = end;
    end += (elements * 4 + 15) / 16 * 16;
    return at;
  };
  counts = place(2);
  token = place(shape.rows);
  position = place(shape.rows);
  sequence = place(shape.rows);
  wanted = place(shape.wanted);
  page = place(uint64_t{shape.sequences} * shape.pages_per_sequence);
  inv_freq = place(uint64_t{shape.sequences} * half_dim);
}

uint64_t StepBlock::bytes(const abi::ProgramShape& shape, uint32_t half_dim) {
  return Layout(shape, half_dim).end;
}

StepBlock::StepBlock(StepInputs& inputs, std::byte* block, const abi::ProgramShape& shape,
                     uint32_t half_dim)
    : inputs_(inputs), block_(block), shape_(shape), half_dim_(half_dim), layout_(shape, half_dim) {
  inputs_.cover(layout_.end);
}

StepView StepBlock::view() const {
  const auto at = [&](uint64_t offset) { return static_cast<void*>(block_ + offset); };
  return {static_cast<const uint32_t*>(at(layout_.counts)),
          static_cast<const int32_t*>(at(layout_.token)),
          static_cast<const uint32_t*>(at(layout_.position)),
          static_cast<const uint32_t*>(at(layout_.sequence)),
          static_cast<const uint32_t*>(at(layout_.wanted)),
          static_cast<const uint32_t*>(at(layout_.page)),
          static_cast<const float*>(at(layout_.inv_freq)),
          shape_.pages_per_sequence,
          half_dim_};
}

void StepBlock::check(const abi::Step& step) const {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw abi::Failure(abi::StatusCode::invalid_argument, what);
  };
  require(step.rows <= shape_.rows && step.wanted.size() <= shape_.wanted &&
              step.sequences <= shape_.sequences,
          "the step is larger than the program was compiled for");
  require(step.token.size() >= step.rows && step.position.size() >= step.rows &&
              step.sequence.size() >= step.rows,
          "the step has fewer tokens, positions or sequences than rows");
  require(step.page.size() >= uint64_t{step.sequences} * shape_.pages_per_sequence,
          "the step's page table is shorter than its sequences");
  require(step.inv_freq.size() >= uint64_t{step.sequences} * half_dim_,
          "the step's RoPE tables are shorter than its sequences");
}

void StepBlock::fill(std::byte* to, const abi::Step& step) const {
  const uint32_t counts[2] = {step.rows, static_cast<uint32_t>(step.wanted.size())};
  std::memcpy(to + layout_.counts, counts, sizeof counts);
  copy(to + layout_.token, step.token, step.rows);
  copy(to + layout_.position, step.position, step.rows);
  copy(to + layout_.sequence, step.sequence, step.rows);
  copy(to + layout_.wanted, step.wanted, step.wanted.size());
  copy(to + layout_.page, step.page, uint64_t{step.sequences} * shape_.pages_per_sequence);
  copy(to + layout_.inv_freq, step.inv_freq, uint64_t{step.sequences} * half_dim_);
}

void StepBlock::send(const abi::Step& step) {
  check(step);
  inputs_.send(block_, layout_.end, [&](std::byte* to) { fill(to, step); });
}

}  // namespace ropewalk::cuda
