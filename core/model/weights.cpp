#include "core/model/weights.h"

namespace ropewalk {

CheckpointWeights::CheckpointWeights(const Checkpoint& checkpoint)
    : checkpoint_(checkpoint),
      zero_points_(checkpoint.quantization() ? detect_zero_points(checkpoint) : ZeroPoints::v1) {}

LinearInfo CheckpointWeights::linear(std::string_view prefix, uint32_t rows, uint32_t cols) const {
  return describe_linear(checkpoint_, prefix, rows, cols);
}

std::unique_ptr<HostWeight> CheckpointWeights::load_linear(
    const LinearInfo& info, std::vector<uint32_t> column_order) const {
  return ropewalk::load_linear(checkpoint_, info, zero_points_, std::move(column_order));
}

abi::DType CheckpointWeights::table_type(std::string_view name) const {
  return dense_type(checkpoint_, checkpoint_.get(name));
}

std::unique_ptr<HostWeight> CheckpointWeights::load_table(std::string_view name, uint32_t vocab,
                                                          uint32_t hidden) const {
  return ropewalk::load_table(checkpoint_, name, vocab, hidden);
}

std::vector<float> CheckpointWeights::load_vector(std::string_view name, uint32_t size) const {
  return ropewalk::load_vector(checkpoint_, name, size);
}

}  // namespace ropewalk
