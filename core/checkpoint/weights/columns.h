// columns.h — some columns of a stored matrix, so that a weight need not be in memory whole.
//
// Pure functions but for reading. Private to checkpoint_weights.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/weights/weight_info.h"

namespace ropewalk {

// Of a tensor (rows, cols) its columns, each row's one after another. Runs of neighbours are read
// as they lie; with an order whole rows are read, so the file is read once for each part.
void read_columns(const Checkpoint& checkpoint, const TensorInfo& tensor, const Columns& columns,
                  std::span<std::byte> out);

// The same of qzeros (groups, cols * bits / 32 words), whose columns are codes of `bits` bits.
void read_code_columns(const Checkpoint& checkpoint, const TensorInfo& tensor, uint32_t bits,
                       const Columns& columns, std::span<uint32_t> out);

// Of a tensor (cols, rows), such as nn.Linear.weight, its rows that are the matrix's columns.
void read_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, const Columns& columns,
               std::span<std::byte> out);

}  // namespace ropewalk
