// rope_tables.h — the RoPE tables of sequences, filled by a policy plugin and cached.
//
// A sequence has the policy's table and, in some families, a second one without scaling: that of
// layers which see a window of keys alone (Gemma 3).
//
// Some policies' tables vary with the length of the sequence (dynamic NTK, longrope). The mode says
// how keys are used that were cached under an older table:
//
//   hf_compat  new rows use the table of the sequence's length, older keys keep theirs: what
//              transformers' generate() does (LlamaDynamicNTKScalingRotaryEmbedding)
//   exact      keys are cached unrotated and rotated on read, all by the same table
//   fixed      one table from the first token on: that of the context length
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/abi/rope_scaling.h"

namespace ropewalk {

enum class RopeMode : uint8_t { hf_compat, exact, fixed };

// The heads that are rotated.
struct RopeHeads {
  uint32_t dim;            // the policy's request may ask for fewer: the other pairs are copied
  double local_theta = 0;  // base of the second table; 0: there is none
};

class RopeTables {
 public:
  // REQUIRES: the policy outlives this. `request.length` is the context length. Throws Error where
  // the policy refuses or fills in a number that is not finite and positive.
  RopeTables(const abi::RopeScaling& policy, const abi::RopeRequest& request, RopeMode mode,
             const RopeHeads& heads);

  double attention_scale() const { return attention_scale_; }
  bool varies() const { return varies_; }
  // Whether keys cached at one length are also valid at another. Where they are not, a text that is
  // reused at another length is computed again from its first token.
  bool keys_stay_valid() const { return keys_stay_valid_; }

  // (tables, head_dim / 2) radians per position for a sequence of `length` tokens; 0 for a pair
  // that is copied. Valid until the next call.
  std::span<const float> inv_freq(uint32_t length);

 private:
  void fill(uint32_t length);

  const abi::RopeScaling& policy_;
  abi::RopeRequest request_;
  RopeHeads heads_;
  bool varies_;
  bool keys_stay_valid_;
  double attention_scale_ = 1;
  uint32_t filled_for_ = 0;
  std::vector<float> table_;
};

}  // namespace ropewalk
