// linear.h — one linear layer of a checkpoint, dense or GPTQ: what it is, and its weight for
// packing.
//
// describe_linear() reads headers and the small g_idx only, so that the graph and the memory plan
// exist before any weight is read. load_linear() then reads a weight, or a part of its columns,
// into memory of the caller's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/weight.h"
#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

// How the zero points of a whole checkpoint are stored. Decided once, from the data where it is
// symmetric (all v1 zeros are 2^(bits-1)-1, all v2 zeros 2^(bits-1)), else from the config;
// a contradiction is decided for the data with a warning.
enum class ZeroPoints : uint8_t { v1, v2 };

struct LinearInfo {
  std::string prefix;  // "model.layers.0.self_attn.q_proj"
  uint32_t rows = 0;   // input features
  uint32_t cols = 0;   // output features
  bool quantized = false;
  bool has_bias = false;  // a bias tensor that is not all zero
  abi::DType dense_type = abi::DType::f16;
  uint8_t bits = 0;
  uint32_t group_size = 0;                   // == rows for a single group
  abi::DType scale_dtype = abi::DType::f16;  // f16 as stored, else f32 (bf16 is widened)
  // (rows): position -> stored row, stable by group; empty: as stored
  std::vector<uint32_t> row_order;
};

// The laid-out columns [first, first + count) of a weight. first is a multiple of kPartColumns.
struct Columns {
  uint32_t first = 0, count = 0;
  std::span<const uint32_t> order = {};  // stored column of every laid-out one; empty: as stored

  uint32_t stored(uint32_t n) const { return order.empty() ? first + n : order[first + n]; }
};

// Makes the weight one of these columns of `cols`, and returns how they are to be read: a part in
// its order, all of them as stored, since a device takes their order faster.
Columns set_columns(abi::Weight& weight, uint32_t cols, const Columns& columns);

// What a device must know of the layer's weight to say how much it takes: all but its data.
abi::Weight linear_shape(const LinearInfo& info);

// Reads tensors of every quantised layer's qzeros as needed to decide. Throws Error.
ZeroPoints detect_zero_points(const Checkpoint& checkpoint);

// `rows` and `cols` are what config.json demands. Bits and group size are inferred from the shapes;
// a contradiction with the quantisation config is an Error that names both. Throws Error for a
// missing tensor, a wrong shape or type, a g_idx out of range or with unequal groups.
LinearInfo describe_linear(const Checkpoint& checkpoint, std::string_view prefix, uint32_t rows,
                           uint32_t cols);

// Reads these columns into `room` (weight_room.h). The weight's spans point there, to
// info.row_order and, where the columns are all there are, to columns.order; a part of them has
// been read in that order. Scales are checked for NaN and infinity: Error with tensor, first index
// and count.
abi::Weight load_linear(const Checkpoint& checkpoint, const LinearInfo& info,
                        ZeroPoints zero_points, const Columns& columns, std::span<std::byte> room);

// (cols) in the order of the laid-out columns; empty: info.has_bias is false. Throws Error.
std::vector<float> load_bias(const Checkpoint& checkpoint, const LinearInfo& info,
                             std::span<const uint32_t> column_order);

// What a tensor that is not quantised is stored as: f32, f16 or bf16. Throws Error for other types.
abi::DType dense_type(const Checkpoint& checkpoint, const TensorInfo& tensor);

// A dense tensor (embedding table, norm) as f32 values; checks shape and finiteness. Throws Error.
std::vector<float> load_vector(const Checkpoint& checkpoint, std::string_view name, uint32_t size);

// A table (vocab, hidden) as stored: of it the tokens that are the columns of its weight.
struct TableInfo {
  std::string name;
  uint32_t vocab = 0, hidden = 0;
};
// As load_linear(). Throws Error for a wrong shape, and for NaN or infinity.
abi::Weight load_table(const Checkpoint& checkpoint, const TableInfo& info, const Columns& tokens,
                       std::span<std::byte> room);

}  // namespace ropewalk
