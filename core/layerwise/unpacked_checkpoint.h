// unpacked_checkpoint.h — a base model in which some layers have the numbers that they were
// quantised to, in f32, and others a bias of zeros: what an adapter is added to that runs beside
// the quantised model.
//
// Immutable; read_from() may be called from several threads.
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/weights/weight_source.h"

namespace ropewalk {

class UnpackedCheckpoint final : public Checkpoint {
 public:
  // `layers` are those that `packed` has, as the file names them; `biased` get a bias where the
  // base has none. REQUIRES: both sources outlive this; `packed` is not nullptr where there are
  // layers.
  UnpackedCheckpoint(const Checkpoint& base, const WeightSource* packed,
                     const std::set<std::string>& layers, const std::set<std::string>& biased);

  void read_from(const TensorInfo& tensor, uint64_t offset,
                 std::span<std::byte> out) const override;
  void check_unchanged() const override { base_.check_unchanged(); }

 private:
  const Checkpoint& base_;
  const WeightSource* packed_;
  std::map<std::string, WeightInfo, std::less<>> layers_;  // by the tensor of the weight
};

}  // namespace ropewalk
