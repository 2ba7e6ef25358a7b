// weight_info.h — one weight of a model, known before it is read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/abi/weight.h"

namespace ropewalk {

// Where a weight's columns lie in the file: in a tensor of its own, or in one with others (Phi-3's
// qkv_proj).
struct StoredIn {
  std::string name = {};  // of the layer that the file has
  uint32_t first = 0;     // its column that is this weight's first
  uint32_t cols = 0;      // its columns
};

// A linear layer, dense or GPTQ, or a table of embeddings.
struct WeightInfo {
  std::string name;   // of its layer: "model.layers.0.self_attn.q_proj", "model.embed_tokens"
  abi::Weight shape;  // all but its data: from it a device says how much the weight takes
  // (rows): position -> stored row, stable by group; empty: as stored
  std::vector<uint32_t> row_order = {};
  bool has_bias = false;  // a bias tensor that is not all zero
  StoredIn stored = {};
};

// The laid-out columns [first, first + count) of a weight. first is a multiple of kPartColumns.
struct Columns {
  uint32_t first = 0, count = 0;
  std::span<const uint32_t> order = {};  // stored column of every laid-out one; empty: as stored
  uint32_t stored_first = 0;             // the tensor's column that is the weight's first

  uint32_t stored(uint32_t n) const {
    return stored_first + (order.empty() ? first + n : order[first + n]);
  }
};

// Makes these columns of a whole weight, and returns how they are to be read: a part in its order,
// all of them as stored, since a device takes their order faster.
inline Columns set_columns(abi::Weight& weight, const Columns& columns) {
  weight.of_cols = weight.cols;
  weight.cols = columns.count;
  weight.first_column = columns.first;
  if (columns.count < weight.of_cols) return columns;
  weight.column_order = columns.order;
  return {0, weight.of_cols, {}, columns.stored_first};
}

}  // namespace ropewalk
