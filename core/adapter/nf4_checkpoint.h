// nf4_checkpoint.h — a base model with the values that a QLoRA training saw: its layers' linear
// weights rounded to bitsandbytes' NF4 and back.
//
//   | 64 weights |   each the nearest of 16 levels times a, the largest magnitude
//   | 256 blocks |   each a = m + b c: m the mean of all a, b the largest |a - m|, c one of 256
//
// Immutable except for a cache of means; read_from() may be called from several threads.
// Source: Dettmers et al., QLoRA, 2023; bitsandbytes, create_dynamic_map and dQuantizeNF4.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

class Nf4Checkpoint final : public Checkpoint {
 public:
  // REQUIRES: the base outlives this.
  explicit Nf4Checkpoint(const Checkpoint& base);

  void read_from(const TensorInfo& tensor, uint64_t offset,
                 std::span<std::byte> out) const override;
  void check_unchanged() const override { base_.check_unchanged(); }

 private:
  float mean_of(const TensorInfo& tensor) const;

  const Checkpoint& base_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, float> means_;  // of the blocks' largest magnitudes, by tensor
};

}  // namespace ropewalk
