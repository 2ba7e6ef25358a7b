// checkpoint_weights.h — the weights of a checkpoint.
//
// Everything throws Error (exit code model) for a missing tensor, a wrong shape or type, and for a
// g_idx out of range or with unequal groups. Bits and group size of each layer are those of its
// shapes; the first layer that the quantisation config says otherwise of is warned of. Scales,
// tables, biases and vectors are checked for NaN and infinity: Error with tensor, first index and
// count.
#pragma once

#include <atomic>
#include <string>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/weights/weight_source.h"
#include "core/checkpoint/weights/zero_points.h"

namespace ropewalk {

struct GptqShape;

class CheckpointWeights final : public WeightSource {
 public:
  // Holds sizes against config.json, reads qzeros as needed to decide on zero_points(). REQUIRES:
  // the checkpoint outlives this.
  explicit CheckpointWeights(const Checkpoint& checkpoint);

  const ModelConfig& config() const override { return checkpoint_.config(); }
  WeightInfo describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                      uint32_t cols) const override;
  abi::Weight load(const WeightInfo& info, const Columns& columns,
                   std::span<std::byte> room) const override;
  std::vector<float> load_bias(const WeightInfo& info,
                               std::span<const uint32_t> column_order) const override;
  std::vector<float> load_vector(std::string_view name, uint32_t size) const override;

  ZeroPoints zero_points() const { return zero_points_; }

 private:
  StoredIn find_stored(const std::string& name, uint32_t cols) const;
  bool is_quantized(const std::string& name) const;
  void describe_packed(WeightInfo& info) const;
  void warn_of_shape(const std::string& name, const GptqShape& shape) const;
  void describe_dense(WeightInfo& info) const;

  const Checkpoint& checkpoint_;
  ZeroPoints zero_points_;
  mutable std::atomic<bool> warned_ = false;
};

}  // namespace ropewalk
