// weights.h — where a model's weights come from, so that a graph can be built and loaded without
// knowing.
//
// Immutable and callable from several threads after construction.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/linear.h"

namespace ropewalk {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual const ModelConfig& config() const = 0;
  // What the layer is: reads headers and orders only. `rows` in, `cols` out features.
  virtual LinearInfo linear(std::string_view prefix, uint32_t rows, uint32_t cols) const = 0;
  virtual std::unique_ptr<HostWeight> load_linear(const LinearInfo& info,
                                                  std::vector<uint32_t> column_order) const = 0;
  // The embedding table as stored (vocab, hidden), and the type it is stored in.
  virtual abi::DType table_type(std::string_view name) const = 0;
  virtual std::unique_ptr<HostWeight> load_table(std::string_view name, uint32_t vocab,
                                                 uint32_t hidden) const = 0;
  virtual std::vector<float> load_vector(std::string_view name, uint32_t size) const = 0;
};

class CheckpointWeights final : public WeightSource {
 public:
  // REQUIRES: the checkpoint outlives this.
  explicit CheckpointWeights(const Checkpoint& checkpoint);

  const ModelConfig& config() const override { return checkpoint_.config(); }
  LinearInfo linear(std::string_view prefix, uint32_t rows, uint32_t cols) const override;
  std::unique_ptr<HostWeight> load_linear(const LinearInfo& info,
                                          std::vector<uint32_t> column_order) const override;
  abi::DType table_type(std::string_view name) const override;
  std::unique_ptr<HostWeight> load_table(std::string_view name, uint32_t vocab,
                                         uint32_t hidden) const override;
  std::vector<float> load_vector(std::string_view name, uint32_t size) const override;

  ZeroPoints zero_points() const { return zero_points_; }

 private:
  const Checkpoint& checkpoint_;
  ZeroPoints zero_points_;
};

}  // namespace ropewalk
