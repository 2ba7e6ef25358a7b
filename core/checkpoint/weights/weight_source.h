// weight_source.h — where a model's weights come from, so that a graph can be built and loaded
// without knowing.
//
// Immutable and callable from several threads after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/checkpoint/config/model_config.h"
#include "core/checkpoint/weights/weight_info.h"

namespace ropewalk {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual const ModelConfig& config() const = 0;

  // Type and shape of this layer's weight. Reads only headers and the small g_idx, so that the
  // graph and the memory plan exist before any weight is read. `rows` (input features) and `cols`
  // (output features; the tokens of a table) are what config.json demands; `embed` is never
  // quantised.
  virtual WeightInfo describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                              uint32_t cols) const = 0;

  // Reads these columns into `room` (weight_room.h). The weight's spans point there, to
  // info.row_order and, where the columns are all there are, to columns.order; a part of them has
  // been read in that order. REQUIRES: info and the order outlive the weight.
  virtual abi::Weight load(const WeightInfo& info, const Columns& columns,
                           std::span<std::byte> room) const = 0;

  // (cols) in the order of the laid-out columns; empty: info.has_bias is false.
  virtual std::vector<float> load_bias(const WeightInfo& info,
                                       std::span<const uint32_t> column_order) const = 0;

  // A dense tensor of this size, such as a norm's weight, under its full name.
  virtual std::vector<float> load_vector(std::string_view name, uint32_t size) const = 0;
};

}  // namespace ropewalk
