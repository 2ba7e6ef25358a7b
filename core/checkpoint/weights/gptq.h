// gptq.h — the tensors of one GPTQ layer: their shapes, and in which order their rows belong.
//
// Stateless. Private to checkpoint_weights.cpp and zero_points.cpp.
// Source: AutoGPTQ auto_gptq/nn_modules/qlinear/qlinear_cuda.py, quantization/gptq.py.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

// What the shapes of a layer's tensors say, checked against each other and the demanded
// (rows, cols).
struct GptqShape {
  uint8_t bits;
  uint32_t groups;
  uint32_t group_size;          // rows per group; == rows for a single group; the last may be short
  uint32_t claimed_group_size;  // the quantisation config's, in this layer
};

// The place for an error about `tensor`: "DIR/model.safetensors: model.layers.0...".
std::string place_of(const Checkpoint& checkpoint, const TensorInfo& tensor);

// Throws Error unless the tensor has this type and shape.
void expect_tensor(const Checkpoint& checkpoint, const TensorInfo& tensor, StoredType type,
                   std::span<const uint64_t> shape);

GptqShape gptq_shape(const Checkpoint& checkpoint, const std::string& prefix, uint32_t rows,
                     uint32_t cols);

//   stored row       0 1 2 3 4 5 6 7
//   g_idx            1 0 1 0 0 1 0 1     act-order: the group of each stored row, groups of 4 rows
//   row order      | 1 3 4 6 | 0 2 5 7 | group 0, group 1; codes stay where they are
//
// (rows) stored row of each position, so that position k belongs to group k / group_size, rows of a
// group in stored order; empty where they lie so already. Throws Error for a PREFIX.g_idx of
// another shape or type, with an id outside of the groups, or whose groups are not of equal size.
std::vector<uint32_t> gptq_row_order(const Checkpoint& checkpoint, const std::string& prefix,
                                     uint32_t rows, const GptqShape& shape);

// Warns once where desc_act and the g_idx tensors contradict each other: what the tensors hold
// decides. REQUIRES: checkpoint.quantization().
void warn_of_order(const Checkpoint& checkpoint);

}  // namespace ropewalk
