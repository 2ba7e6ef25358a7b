// sampler.h — one link of the sampling chain.
//
// A chain runs from top to bottom over the candidates for the next token. A link rescales their
// logits or removes some of them; a link that leaves exactly one has chosen. When the chain ends
// with more than one, the host draws from their softmax. The functions that links share are in
// candidates.h.
#pragma once

#include <cstdint>
#include <span>

#include "core/abi/candidates.h"
#include "core/abi/plugin.h"

namespace ropewalk::abi {

struct SampleContext {
  std::span<const int32_t> history;  // the ids of the prompt, then the generated ones
  uint32_t prompt_length;            // ids of the prompt in `history`
  Random* random;
};

// One object serves one sequence; calls come from one thread at a time.
class Sampler {
 public:
  static constexpr ModuleKind kKind = ModuleKind::sampler;

  virtual Status apply(Candidates& candidates, const SampleContext& context) noexcept = 0;
  // The token that the chain chose, for links that adapt (mirostat).
  virtual Status accept(int32_t id) noexcept = 0;
  virtual void release() noexcept = 0;

 protected:
  ~Sampler() = default;
};

}  // namespace ropewalk::abi
