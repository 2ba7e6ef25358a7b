// conversation.h — sequences that grow step by step through kv_append and attention, with the truth
// in double beside them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/abi/kv_page.h"
#include "tests/ops/harness/session.h"

namespace ropewalk::test {

struct AttentionShape {
  uint32_t heads, kv_heads, dim;
  abi::DType cache;
  abi::KeyRotation rotation;
  bool ordered;
  uint32_t window = 0;
  float soft_cap = 0;
  uint32_t page_tokens = abi::kDefaultPageTokens;
  uint32_t table = 0;  // of the RoPE tables
};

// `count` new tokens of a sequence.
struct Part {
  uint32_t sequence, count;
};

// One step's rows, and what must come out.
struct Turn {
  StepData step;
  std::vector<float> q, k, v;  // (R, heads, dim), (R, kv_heads, dim) twice
  std::vector<double> truth;   // (R, heads * dim)
};

class Conversation {
 public:
  // Sequences of at most `context` tokens, whose pages are scattered over twice as many.
  Conversation(const AttentionShape& shape, uint32_t sequences, uint32_t context);

  // Parts of several tokens come first in the step. REQUIRES: one part of a sequence at most.
  Turn next(std::vector<Part> parts);

  float scale() const;  // of the attention node
  uint32_t pages_per_sequence() const { return pages_per_sequence_; }
  uint32_t pages() const { return 2 * sequences_ * pages_per_sequence_; }
  const std::vector<uint32_t>& order() const { return order_; }
  // x (R, heads, dim) of this step rotated as the op `rope` does, with attention scale 1.
  std::vector<double> rotated(const StepData& step, const std::vector<float>& x) const;

 private:
  struct Memory {              // of one sequence, as the cache holds it
    std::vector<double> k, v;  // (keys, kv_heads, dim)
    uint32_t keys = 0;
  };
  void remember(const std::vector<float>& from, uint64_t first, std::vector<double>& to) const;
  void rotate(double* head, uint32_t position, uint32_t sequence) const;
  std::vector<double> attend(const Turn& turn, uint32_t row) const;

  AttentionShape shape_;
  uint32_t sequences_, pages_per_sequence_;
  Random random_;
  std::vector<Memory> memory_;
  std::vector<uint32_t> page_, order_;
  std::vector<float> inv_freq_;
};

// kv_append and attention over one cache. Tensors by the order of their making.
struct AttentionCase {
  explicit AttentionCase(const AttentionShape& shape, const Conversation& conversation);
  Case description;
  uint32_t q, k, v, y;
};

}  // namespace ropewalk::test
