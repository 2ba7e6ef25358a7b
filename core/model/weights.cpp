#include "core/model/weights.h"

namespace ropewalk {

CheckpointWeights::CheckpointWeights(const Checkpoint& checkpoint)
    : checkpoint_(checkpoint),
      zero_points_(checkpoint.quantization() ? detect_zero_points(checkpoint) : ZeroPoints::v1) {}

LinearInfo CheckpointWeights::linear(std::string_view prefix, uint32_t rows, uint32_t cols) const {
  return describe_linear(checkpoint_, prefix, rows, cols);
}

abi::Weight CheckpointWeights::load_linear(const LinearInfo& info, const Columns& columns,
                                           std::span<std::byte> room) const {
  return ropewalk::load_linear(checkpoint_, info, zero_points_, columns, room);
}

std::vector<float> CheckpointWeights::load_bias(const LinearInfo& info,
                                                std::span<const uint32_t> column_order) const {
  return ropewalk::load_bias(checkpoint_, info, column_order);
}

abi::DType CheckpointWeights::table_type(std::string_view name) const {
  return dense_type(checkpoint_, checkpoint_.get(name));
}

abi::Weight CheckpointWeights::load_table(const TableInfo& info, const Columns& tokens,
                                          std::span<std::byte> room) const {
  return ropewalk::load_table(checkpoint_, info, tokens, room);
}

std::vector<float> CheckpointWeights::load_vector(std::string_view name, uint32_t size) const {
  return ropewalk::load_vector(checkpoint_, name, size);
}

}  // namespace ropewalk
