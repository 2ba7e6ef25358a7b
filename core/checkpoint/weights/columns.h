// columns.h — reads some columns of a stored matrix, so that a weight need not be in memory whole.
//
// Stateless. Private to checkpoint_weights.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/weights/weight_info.h"
#include "core/checkpoint/weights/zero_points.h"

namespace ropewalk {

// Reads columns of a tensor (rows, cols) into `out`, (rows, count) row-major. Without an order only
// these columns are read; with an order whole rows are, so each part reads all of the tensor.
void read_columns(const Checkpoint& checkpoint, const TensorInfo& tensor, const Columns& columns,
                  std::span<std::byte> out);

struct StoredZeros {
  uint32_t bits;
  ZeroPoints format;
};

// The same for qzeros (groups, cols * bits / 32 words): a column is a code of `bits` bits. What
// was borrowed is returned: v1_borrowed is read as v2.
void read_zero_columns(const Checkpoint& checkpoint, const TensorInfo& tensor,
                       const StoredZeros& zeros, const Columns& columns, std::span<uint32_t> out);

// The same for a tensor (cols, rows), such as nn.Linear.weight: the matrix's columns are its rows.
void read_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, const Columns& columns,
               std::span<std::byte> out);

}  // namespace ropewalk
