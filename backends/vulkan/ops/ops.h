// ops.h — the ops: how each becomes dispatches. core/graph/ops.md says what they mean.
//
// A function looks at one node and records it; it keeps nothing. The push constants it writes are
// the block `Push` of the shader of its name, field by field.
#pragma once

#include <optional>
#include <vector>

#include "backends/vulkan/device/memory.h"
#include "backends/vulkan/device/pack.h"
#include "backends/vulkan/program/counters.h"
#include "backends/vulkan/program/recorder.h"
#include "backends/vulkan/program/step_block.h"
#include "core/abi/device_tables.h"
#include "core/abi/workspace.h"

namespace ropewalk::vulkan {

using PackedWeights = abi::PackedWeights<PackedShape>;

// Where a hidden value lies that a step writes nevertheless.
struct Place {
  uint32_t tensor;
  Range at;
};

// The parts of its program that an op uses.
struct CompileContext {
  const abi::Graph& graph;
  abi::ProgramShape shape;
  const Memory& memory;
  const PackedWeights& weights;
  Counters& counters;
  VkDeviceAddress step;            // of the shaders' first block Step
  Range workspace;                 // of products: what they read instead of x
  Range gated_x;                   // the same, of products of a gated_matmul()'s result
  Range between;                   // of a step's hidden values (values_between())
  Range sums;                      // of products whose workgroups share them
  Range partials;                  // of attention and low_rank
  uint64_t prefetch_bytes;         // of the next product's weights (prefetch())
  std::vector<Place> places = {};  // of the present step, in `between`
};

// One node with its tensors and where they lie.
class Operands : public abi::NodeTensors {
 public:
  Operands(const CompileContext& context, const abi::Node& node)
      : NodeTensors(context.graph, node), context_(context) {}

  const CompileContext& context() const { return context_; }
  const abi::ProgramShape& shape() const { return context_.shape; }
  VkDeviceAddress step() const {
    return context_.step + StepBlock::offset_of(rope_table_of(node()));
  }

  // Address 0 and an empty range for an operand that the node does not have.
  VkDeviceAddress at(size_t i) const { return range(i).begin; }
  Range range(size_t i) const { return has(i) ? range_of(node().in[i]) : Range{}; }
  VkDeviceAddress result_at() const { return result().begin; }
  Range result() const { return range_of(node().out[0]); }

  uint32_t over_wanted() const { return extent() == abi::Extent::wanted; }
  // Rows that the program is compiled for.
  uint32_t rows() const { return max_rows(context_.shape, extent()); }
  // Throws Failure (invalid_argument) where no weight of this shape was packed.
  const PackedShape& weight(size_t i, abi::WeightUse use) const {
    return context_.weights.of(in(i), use);
  }

 private:
  Range range_of(uint32_t tensor) const {
    for (const Place& place : context_.places)
      if (place.tensor == tensor) return place.at;
    const abi::Slice& slice = context_.graph.tensors[tensor].at;
    const VkDeviceAddress begin = context_.memory.address(slice);
    return {begin, begin + slice.bytes};
  }

  const CompileContext& context_;
};

// Elements of a cache in a word of the shaders.
inline uint32_t elements_per_word(abi::DType dtype) { return 4 / element_bytes(dtype); }

// The grid of an op with an invocation for each of `width` elements of each row.
inline constexpr uint32_t kElementGroup = 64;
inline Groups element_groups(uint32_t width, uint32_t rows) {
  return {(uint64_t{width} + kElementGroup - 1) / kElementGroup, rows, 1};
}

// Rows of one dispatch: as many whole tiles as a submission may compute, at least one.
uint32_t rows_per_dispatch(double affordable, uint32_t tile_rows);

// What a matmul does with its sums before it stores them; constants of weights.glsl.
struct Epilogue {
  enum class Kind : uint32_t { none = 0, add = 1, silu_mul = 2 };
  Kind kind;
  Range other;   // (R, width)  the residual, or the gate
  Range result;  // (R, width)
};

// What a kv_append reads. With the rope node of the queries it rotates them, and the keys too.
struct Heads {
  Range q, k, v;  // (R, heads, d)
  const Operands* rope_of_q;
};

// What products of 4 bits and few rows read instead of the result of `op`, which can store it too
// (planes.glsl); nothing where no product reads it so.
std::optional<Derived> planes_of_result(const Operands& op, const Features& features);

void embed(const Operands& op, Recorder& recorder);
void rms_norm(const Operands& op, Recorder& recorder);
void matmul(const Operands& op, const Epilogue& epilogue, Recorder& recorder);
// Products of one x; `norm`: the rms_norm that makes it, or null.
struct Products {
  const Operands* norm;
  std::vector<Operands> product;
};
// silu(x . gate) * (x . up) in one dispatch, or in several.
void gated_matmul(const Products& gate_and_up, const Operands& silu_mul, Recorder& recorder);
// From x to the cache: products whose columns are heads of queries, keys and values, the ropes and
// the kv_append behind them in one dispatch, or in several.
void qkv_append(const Products& qkv, const Operands& rope_of_q, const Operands& append,
                Recorder& recorder);
void rope(const Operands& op, Recorder& recorder);
void kv_append(const Operands& op, const Heads& heads, Recorder& recorder);
void attention(const Operands& op, Recorder& recorder);
// The same, and the product that alone reads what it stores: in two dispatches, or in several.
void attention_product(const Operands& op, const Operands& product, const Epilogue& epilogue,
                       Recorder& recorder);
// `activation` is kSiluMul or kGeluMul.
void gate_mul(const Operands& op, const Shader& activation, Recorder& recorder);
void add(const Operands& op, Recorder& recorder);
void permute(const Operands& op, Recorder& recorder);
void select(const Operands& op, Recorder& recorder);
void low_rank(const Operands& op, Recorder& recorder);

// The block of stream.comp.
enum class Stream : uint32_t { read = 0, copy = 1, fill = 2 };
struct StreamPush {
  VkDeviceAddress from, to;
  uint32_t vectors;
  Stream what;
};

// Behind a dispatch that leaves the memory idle: reads the first prefetch_bytes bytes of the
// weights of the products behind it, so that the cache has them. Nothing waits for it but the next
// barrier.
void prefetch(const CompileContext& context, std::span<const Operands> products,
              Recorder& recorder);
// The same behind a step `now` where it is such a dispatch, of the products in the step `next`.
void prefetch_between(const CompileContext& context, std::span<const uint32_t> now,
                      std::span<const uint32_t> next, Recorder& recorder);

// One claimed step: a node or a fusion (program/fusions.h). Throws Failure (unsupported) for nodes
// that are neither.
void record_step(const CompileContext& context, const abi::Claim& step, Recorder& recorder);

// Bytes of the workspaces of CompileContext.
struct MatmulWorkspace {
  uint64_t x, gated_x, sums;
};
MatmulWorkspace matmul_workspace(const abi::Graph& graph, const abi::Node& node,
                                 const abi::ProgramShape& shape, const Features& features);
uint64_t between_workspace(const abi::Graph& graph, const abi::Claim& step,
                           const abi::ProgramShape& shape);
uint64_t attention_workspace(const abi::Graph& graph, const abi::Node& node,
                             const abi::ProgramShape& shape, const Features& features);
uint64_t low_rank_workspace(const abi::Graph& graph, const abi::Node& node,
                            const abi::ProgramShape& shape);

}  // namespace ropewalk::vulkan
