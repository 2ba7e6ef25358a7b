#include "core/layerwise/adapted_weights.h"

namespace ropewalk {
namespace {

std::set<std::string> biased_by(const Adapter& adapter) {
  std::set<std::string> modules;
  for (const LowRank& pair : adapter.low_ranks())
    if (pair.bias) modules.insert(pair.module);
  return modules;
}

}  // namespace

AdaptedWeights::AdaptedWeights(const Checkpoint& base, const ScaledAdapter& adapter,
                               const WeightSource* packed, const std::set<std::string>& layers)
    : unpacked_(base, packed, layers, biased_by(*adapter.adapter)),
      merged_(unpacked_, {{adapter}, StoredType::f32}),
      weights_(merged_) {}

}  // namespace ropewalk
