// rope_scaling.h — a policy of rotary position embedding, as a table.
//
// Position m rotates the pair (x[i], x[i + head_dim/2]) by the angle m * inv_freq[i]; cosine and
// sine are multiplied by attention_scale. A policy only fills that table, so no kernel knows a
// policy's name.
#pragma once

#include <cstdint>
#include <span>

#include "core/abi/plugin.h"

namespace ropewalk::abi {

struct RopeRequest {
  uint32_t head_dim;               // even
  double theta;                    // base of the frequencies, config.json's rope_theta
  uint32_t max_position;           // config.json's max_position_embeddings
  uint32_t original_max_position;  // before any extension; 0 where config.json does not say
  uint32_t length;                 // tokens in the sequence, for policies that vary with it
};

struct RopeTable {
  std::span<double> inv_freq;    // (head_dim / 2), radians per position; written by fill()
  double attention_scale = 1.0;  // factor of cosine and sine; must not vary with the length
};

// Stateless after construction.
class RopeScaling {
 public:
  static constexpr ModuleKind kKind = ModuleKind::rope_scaling;

  // Whether the table depends on RopeRequest::length.
  virtual bool varies_with_length() const noexcept = 0;
  virtual Status fill(const RopeRequest& request, RopeTable& table) const noexcept = 0;
  virtual void release() noexcept = 0;

 protected:
  ~RopeScaling() = default;
};

}  // namespace ropewalk::abi
