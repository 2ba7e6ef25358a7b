// linear.h — one linear layer of a checkpoint, dense or GPTQ: what it is, and its weight for
// packing.
//
// describe_linear() reads headers and the small g_idx only, so that the graph and the memory plan
// exist before any weight is read. load_linear() then reads one layer at a time.
#pragma once

#include <cstdint>
#include <memory>
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
  std::vector<uint32_t>
      row_order;  // (rows): position -> stored row, stable by group; empty: as stored
};

// A weight with the memory behind its spans.
class HostWeight {
 public:
  virtual ~HostWeight() = default;
  virtual const abi::Weight& view() const = 0;
  virtual const std::vector<float>& bias()
      const = 0;  // (cols), in laid-out column order; empty: none
};

// Reads tensors of every quantised layer's qzeros as needed to decide. Throws Error.
ZeroPoints detect_zero_points(const Checkpoint& checkpoint);

// `rows` and `cols` are what config.json demands. Bits and group size are inferred from the shapes;
// a contradiction with the quantisation config is an Error that names both. Throws Error for a
// missing tensor, a wrong shape or type, a g_idx out of range or with unequal groups.
LinearInfo describe_linear(const Checkpoint& checkpoint, std::string_view prefix, uint32_t rows,
                           uint32_t cols);

// `column_order` (cols) or empty is the order in which the columns are laid out (abi/weight.h).
// Scales are checked for NaN and infinity here: Error with tensor, first index and count.
std::unique_ptr<HostWeight> load_linear(const Checkpoint& checkpoint, const LinearInfo& info,
                                        ZeroPoints zero_points, std::vector<uint32_t> column_order);

// What a tensor that is not quantised is stored as: f32, f16 or bf16. Throws Error for other types.
abi::DType dense_type(const Checkpoint& checkpoint, const TensorInfo& tensor);

// A dense tensor (embedding table, norm) as f32 values; checks shape and finiteness. Throws Error.
std::vector<float> load_vector(const Checkpoint& checkpoint, std::string_view name, uint32_t size);
// The embedding table, as stored. Throws Error for a wrong shape, and for NaN or infinity.
std::unique_ptr<HostWeight> load_table(const Checkpoint& checkpoint, std::string_view name,
                                       uint32_t vocab, uint32_t hidden);

}  // namespace ropewalk
