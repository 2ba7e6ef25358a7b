// stored_weight.h — weights as a checkpoint stores them, made up, with their values in double.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/abi/weight.h"
#include "tests/ops/harness/random.h"

namespace ropewalk::test {

struct GptqShape {
  uint32_t rows, cols;
  uint8_t bits;
  uint32_t group_size;
  uint8_t zero_offset;
  abi::DType scale_dtype;
};

// Owns what an abi::Weight points to.
struct StoredWeight {
  abi::Weight shape;  // spans empty
  std::vector<std::byte> dense, scales;
  std::vector<uint32_t> qweight, qzeros, row_order, column_order;
  uint32_t part_columns = 0;  // packed in parts of so many columns; 0: whole

  abi::Weight view() const;
  // As a loader brings it: itself, or its parts with their columns in order.
  std::vector<StoredWeight> parts() const;
  // W[k][n] of the laid-out matrix, orders applied; for a table (V, H): k is the column of H.
  double at(uint32_t k, uint32_t n) const;
};

StoredWeight random_dense(abi::DType dtype, abi::WeightUse use, uint32_t rows, uint32_t cols,
                          Random& random);
StoredWeight random_gptq(const GptqShape& shape, Random& random);

}  // namespace ropewalk::test
