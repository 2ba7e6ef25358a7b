// ops.h — the ops: how each becomes dispatches. core/graph/ops.md says what they mean.
//
// A function looks at one node and records it; it keeps nothing. The push constants it writes are
// the block of the shader of its name, field by field.
#pragma once

#include "backends/vulkan/claim.h"
#include "backends/vulkan/memory.h"
#include "backends/vulkan/pack.h"
#include "backends/vulkan/recorder.h"
#include "core/abi/device_tables.h"
#include "core/abi/workspace.h"

namespace ropewalk::vulkan {

using PackedWeights = abi::PackedWeights<PackedShape>;

// What an op may need of its program.
struct Surroundings {
  const abi::Graph& graph;
  abi::ProgramShape shape;
  const Memory& memory;
  const PackedWeights& weights;
  VkDeviceAddress step;  // of the shaders' block Step
  Range workspace;
};

// One node with its tensors and where they lie.
class Operands : public abi::NodeTensors {
 public:
  Operands(const Surroundings& around, const abi::Node& node)
      : NodeTensors(around.graph, node), around_(around) {}

  const Surroundings& around() const { return around_; }

  VkDeviceAddress at(const abi::Tensor& tensor) const { return around_.memory.address(tensor.at); }
  VkDeviceAddress at(size_t i) const { return has(i) ? at(in(i)) : 0; }
  VkDeviceAddress result() const { return at(out()); }
  Range range(const abi::Tensor& tensor) const;
  Range range(size_t i) const { return has(i) ? range(in(i)) : Range{}; }

  uint32_t over_wanted() const { return extent() == abi::Extent::wanted; }
  // Rows that the program is compiled for.
  uint32_t rows() const { return max_rows(around_.shape, extent()); }
  // Throws Failure (invalid_argument) where no weight of this shape was packed.
  const PackedShape& weight(size_t i, abi::WeightUse use) const {
    return around_.weights.of(in(i), use);
  }

 private:
  const Surroundings& around_;
};

// Elements of a cache in a word of the shaders.
inline uint32_t elements_of_word(abi::DType dtype) {
  return dtype == abi::DType::f32 ? 1 : dtype == abi::DType::f16 ? 2 : 4;
}

// The grid of an op with an invocation for each of `width` elements of each row.
inline constexpr uint32_t kElementGroup = 64;
inline Groups element_groups(uint32_t width, uint32_t rows) {
  return {(uint64_t{width} + kElementGroup - 1) / kElementGroup, rows, 1};
}

// Whole tiles of rows within what a submission may compute, one at least.
uint32_t rows_at_once(double affordable, uint32_t tile_rows);

// What a matmul does with its sums before it stores them; constants of weights.glsl.
struct Epilogue {
  enum class Kind : uint32_t { none = 0, add = 1, silu_mul = 2 };
  Kind kind;
  Range other;   // (R, width)  the residual, or the gate
  Range result;  // (R, width)
};

// The rotations of queries and keys that a kv_append does on the way; none: keys are ready.
struct TurnedBefore {
  const Operands* q;
  const Operands* k;
};

void embed(const Operands& op, Recorder& recorder);
void rms_norm(const Operands& op, Recorder& recorder);
void matmul(const Operands& op, const Epilogue& epilogue, Recorder& recorder);
void rope(const Operands& op, Recorder& recorder);
void kv_append(const Operands& op, const TurnedBefore& turned, Recorder& recorder);
void attention(const Operands& op, Recorder& recorder);
void silu_mul(const Operands& op, Recorder& recorder);
void add(const Operands& op, Recorder& recorder);
void permute(const Operands& op, Recorder& recorder);
void select(const Operands& op, Recorder& recorder);

// Bytes of workspace that matmul() and attention() need.
uint64_t matmul_workspace(const abi::Graph& graph, const abi::Node& node,
                          const abi::ProgramShape& shape, const Features& features);
uint64_t attention_workspace(const abi::Graph& graph, const abi::Node& node,
                             const abi::ProgramShape& shape, const Features& features);

}  // namespace ropewalk::vulkan
