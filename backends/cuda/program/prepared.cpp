#include "backends/cuda/program/prepared.h"

#include "backends/cuda/program/operands.h"

namespace ropewalk::cuda {

PreparedBuffers::PreparedBuffers(const abi::Graph& graph, const abi::ProgramShape& shape,
                                 std::byte* memory, uint64_t bytes)
    : graph_(graph),
      shape_(shape),
      memory_(memory),
      bytes_(bytes),
      expected_(graph.tensors.size()),
      gated_(graph.tensors.size()),
      half_(graph.tensors.size()),
      folded_(graph.tensors.size()) {}

gptq::PreparedX PreparedBuffers::write(uint32_t tensor) {
  if (!expected_[tensor]) return {};
  current_ ^= 1;
  holds_[current_] = tensor;
  return current(tensor);
}

gptq::PreparedX PreparedBuffers::find(uint32_t tensor) {
  for (uint32_t i = 0; i < 2; ++i) {
    if (holds_[i] != tensor) continue;
    current_ = i;
    return current(tensor);
  }
  return {};
}

gptq::PreparedX PreparedBuffers::current(uint32_t tensor) const {
  const abi::Tensor& t = graph_.tensors[tensor];
  return gptq::prepared_at(memory_ + current_ * bytes_, launch_rows(shape_, extent_of(t)),
                           width_of(t));
}

}  // namespace ropewalk::cuda
