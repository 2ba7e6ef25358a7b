// prepared.h — which tensors a program also keeps in the form that the streaming kernel reads
// (gptq/lean/x.h), and where.
//
// The kernel that computes such a tensor writes both forms, so that preparing x needs no launch of
// its own. A program has two buffers, filled alternately: a product can read one and write the
// other.
//
//   norm       writes 0    q, k, v    reads 0
//   attention  writes 1    o          reads 1
//   norm       writes 0    gate, up   reads 0, writes 1
//                          down       reads 1
//
// Steps are lowered in the order in which they run, so lowering knows what each buffer holds.
//
// For one row, products can compute x themselves (gptq/lean/x.h: FoldedX). Then the norm in front
// of them is not launched, and attention does not reorder its output. Large-batch products do the
// same for any number of rows (gptq/x_to_f16.h). There the product of gate and up may write what
// the next one reads, and nothing else (gptq/large_batch/epilogue.h: GatedX). Between them and
// attention for prompts queries and results are f16.
#pragma once

#include <vector>

#include "backends/cuda/gptq/lean/x.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

class PreparedBuffers {
 public:
  // Two buffers of `bytes` each from `memory` on. Borrows the graph.
  PreparedBuffers(const abi::Graph& graph, const abi::ProgramShape& shape, std::byte* memory,
                  uint64_t bytes);

  // The products that read this tensor compute it.
  void fold(uint32_t tensor, const gptq::FoldedX& x) {
    folded_[tensor] = x;
    expected_[tensor] = false;
  }
  // Without `from` where the tensor is not folded.
  const gptq::FoldedX& folded(uint32_t tensor) const { return folded_[tensor]; }

  // The tensor is written as GatedX and not as f32.
  void keep_gated(uint32_t tensor) { gated_[tensor] = true; }
  bool is_gated(uint32_t tensor) const { return gated_[tensor]; }

  // The tensor's memory has f16 in the place of f32: queries and results of attention for prompts.
  void keep_half(uint32_t tensor) { half_[tensor] = true; }
  bool is_half(uint32_t tensor) const { return half_[tensor]; }

  // A product reads this tensor.
  void expect(uint32_t tensor) { expected_[tensor] = true; }
  // Where the kernel that computes the tensor writes it; null where no product reads it.
  gptq::PreparedX write(uint32_t tensor);
  // Where the tensor is; null where no buffer holds it.
  gptq::PreparedX find(uint32_t tensor);

 private:
  gptq::PreparedX current(uint32_t tensor) const;

  const abi::Graph& graph_;
  const abi::ProgramShape shape_;
  std::byte* const memory_;
  const uint64_t bytes_;
  std::vector<bool> expected_, gated_, half_;  // (tensors)
  std::vector<gptq::FoldedX> folded_;          // (tensors)
  uint32_t holds_[2] = {~0u, ~0u};             // tensors
  uint32_t current_ = 1;                       // the buffer that was read or written last
};

}  // namespace ropewalk::cuda
