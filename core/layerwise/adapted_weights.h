// adapted_weights.h — the weights of a part beside which an adapter runs: W + s B A in f32, where W
// is what the layer was quantised to or, where it is not yet, the base's.
//
// Immutable; callable from several threads.
#pragma once

#include <set>
#include <string>

#include "core/adapter/merged_checkpoint.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/layerwise/unpacked_checkpoint.h"

namespace ropewalk {

class AdaptedWeights {
 public:
  // `layers` are those that `packed` has, as the file names them. Throws what MergedCheckpoint
  // throws. REQUIRES: base, adapter and packed outlive this.
  AdaptedWeights(const Checkpoint& base, const ScaledAdapter& adapter, const WeightSource* packed,
                 const std::set<std::string>& layers);

  const WeightSource& source() const { return weights_; }

 private:
  const UnpackedCheckpoint unpacked_;
  const MergedCheckpoint merged_;
  const CheckpointWeights weights_;
};

}  // namespace ropewalk
