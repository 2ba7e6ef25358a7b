// weights.h — where a model's weights come from, so that a graph can be built and loaded without
// knowing.
//
// Immutable and callable from several threads after construction.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/weights/linear.h"

namespace ropewalk {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual const ModelConfig& config() const = 0;
  // What the layer is: reads headers and orders only. `rows` in, `cols` out features.
  virtual LinearInfo linear(std::string_view prefix, uint32_t rows, uint32_t cols) const = 0;
  // Columns of it, read into `room`, as load_linear() of linear.h; and its bias, load_bias().
  virtual abi::Weight load_linear(const LinearInfo& info, const Columns& columns,
                                  std::span<std::byte> room) const = 0;
  virtual std::vector<float> load_bias(const LinearInfo& info,
                                       std::span<const uint32_t> column_order) const = 0;
  // The type that the embedding table is stored in, and tokens of it, as load_table() of linear.h.
  virtual abi::DType table_type(std::string_view name) const = 0;
  virtual abi::Weight load_table(const TableInfo& info, const Columns& tokens,
                                 std::span<std::byte> room) const = 0;
  virtual std::vector<float> load_vector(std::string_view name, uint32_t size) const = 0;
};

class CheckpointWeights final : public WeightSource {
 public:
  // REQUIRES: the checkpoint outlives this.
  explicit CheckpointWeights(const Checkpoint& checkpoint);

  const ModelConfig& config() const override { return checkpoint_.config(); }
  LinearInfo linear(std::string_view prefix, uint32_t rows, uint32_t cols) const override;
  abi::Weight load_linear(const LinearInfo& info, const Columns& columns,
                          std::span<std::byte> room) const override;
  std::vector<float> load_bias(const LinearInfo& info,
                               std::span<const uint32_t> column_order) const override;
  abi::DType table_type(std::string_view name) const override;
  abi::Weight load_table(const TableInfo& info, const Columns& tokens,
                         std::span<std::byte> room) const override;
  std::vector<float> load_vector(std::string_view name, uint32_t size) const override;

  ZeroPoints zero_points() const { return zero_points_; }

 private:
  const Checkpoint& checkpoint_;
  ZeroPoints zero_points_;
};

}  // namespace ropewalk
