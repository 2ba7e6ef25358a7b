#include "backends/cuda/lower.h"

#include <algorithm>
#include <string>

#include "backends/cuda/gptq/dequantise.h"
#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/ops/ops.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;
using abi::Op;
using abi::Tensor;

uint32_t width_of(const Tensor& tensor) { return static_cast<uint32_t>(row_width(tensor)); }

Extent extent_of(const Tensor& out) {
  return out.dim[0] == abi::kWanted ? Extent::wanted : Extent::rows;
}

// At least 1: a launch of nothing is an error, one that finds no rows is not.
uint32_t most_rows(const abi::ProgramShape& shape, Extent extent) {
  return std::max(extent == Extent::wanted ? shape.wanted : shape.rows, 1u);
}

gptq::Layout layout_of(const Tensor& weight) {
  return {weight.dim[0], weight.dim[1], weight.bits, weight.group_size, 1};
}

uint32_t heads_of(const Tensor& q, const Tensor& keys) { return width_of(q) / keys.dim[3]; }

// One node with its tensors and where they lie.
class Operands {
 public:
  Operands(const abi::Node& node, const Surroundings& around) : node_(node), around_(around) {}

  const Tensor& in(size_t i) const { return around_.graph.tensors[node_.in[i]]; }
  const Tensor& out() const { return around_.graph.tensors[node_.out[0]]; }
  uint32_t width() const { return width_of(out()); }
  Extent extent() const { return extent_of(out()); }

  std::byte* bytes(size_t i) const {
    return i < node_.in.size() ? around_.memory.address(in(i).at) : nullptr;
  }
  const float* floats(size_t i) const { return reinterpret_cast<const float*>(bytes(i)); }
  const int32_t* order(size_t i) const { return reinterpret_cast<const int32_t*>(bytes(i)); }
  float* result() const { return reinterpret_cast<float*>(around_.memory.address(out().at)); }
  Cache cache(size_t i) const {
    const Tensor& t = in(i);
    return {bytes(i), t.dtype, t.dim[2], t.dim[3]};
  }
  // Throws Failure (invalid_argument) where no weight of this shape was packed.
  const PackedWeight& weight(size_t i, abi::WeightUse use) const;

 private:
  const abi::Node& node_;
  const Surroundings& around_;
};

const PackedWeight& Operands::weight(size_t i, abi::WeightUse use) const {
  const Tensor& t = in(i);
  const auto found = around_.weights.find({t.at.buffer.id, t.at.offset});
  const bool embeds = use == abi::WeightUse::embed;
  const auto fits = [&](const PackedWeight& w) {
    return w.use == use && w.dtype == t.dtype && w.layout.rows == t.dim[embeds ? 1 : 0] &&
           w.layout.cols == t.dim[embeds ? 0 : 1] &&
           (t.dtype != DType::gptq ||
            (w.layout.bits == t.bits && w.layout.group_size == t.group_size));
  };
  if (found == around_.weights.end() || !fits(found->second))
    throw abi::Failure(abi::StatusCode::invalid_argument,
                       std::string(t.name) + ": no weight of this shape was packed here");
  return found->second;
}

// Binds an op and its launch: both are values, so nothing of the graph is kept.
template <class Struct>
LaunchNode bind(void (*launch)(const Struct&, const Launch&), const Struct& op,
                const Surroundings& around) {
  return [launch, op, step = around.step, rows = most_rows(around.shape, Extent::rows),
          wanted = most_rows(around.shape, Extent::wanted)](cudaStream_t stream) {
    launch(op, {step, rows, wanted, stream});
  };
}

// x and slices of W in f16, products by cuBLAS, and what the f16 of x took is given back at the
// end.
LaunchNode lower_long(const Operands& op, const gptq::Layout& layout, const Surroundings& around) {
  const uint32_t rows = most_rows(around.shape, op.extent());
  const gptq::LongPlaces places = gptq::long_places(layout, rows);
  std::byte* at = around.long_place + Cublas::kWorkspaceBytes;
  auto* const scales = reinterpret_cast<float*>(at + places.scales);
  const gptq::HalfRows half_rows{op.floats(0), at + places.x, scales, layout, rows, op.extent()};
  const gptq::Finish finish{scales, op.floats(2), op.result(), layout.cols, rows, op.extent()};
  const auto* weight = reinterpret_cast<const uint32_t*>(op.bytes(1));
  return [=, slice = at + places.slice, cublas = around.cublas,
          step = around.step](cudaStream_t stream) {
    gptq::half_rows(half_rows, step, stream);
    const uint32_t tiles = gptq::column_tiles(layout);
    const uint32_t at_once = gptq::slice_columns(layout) / gptq::kTileColumns;
    for (uint32_t tile = 0; tile < tiles; tile += at_once) {
      gptq::dequantise({weight, slice, layout, tile, std::min(at_once, tiles - tile)}, stream);
      const uint32_t first = tile * gptq::kTileColumns;
      const uint32_t columns = std::min(at_once * gptq::kTileColumns, layout.cols - first);
      cublas->multiply({half_rows.halves, slice, finish.y + first, rows, gptq::padded_rows(layout),
                        columns, layout.cols},
                       stream);
    }
    gptq::finish(finish, step, stream);
  };
}

LaunchNode lower_matmul(const Operands& op, const Surroundings& around) {
  const PackedWeight& weight = op.weight(1, abi::WeightUse::matmul);
  const gptq::Layout& layout = weight.layout;
  if (weight.dtype != DType::gptq)
    return bind(dense_matmul,
                DenseMatmul{op.floats(0), op.bytes(1), weight.dtype, op.floats(2), op.result(),
                            layout.rows, layout.cols, op.extent()},
                around);
  const uint32_t rows = most_rows(around.shape, op.extent());
  if (around.cublas && rows >= gptq::kLeastLongRows) return lower_long(op, layout, around);
  const gptq::Division division = gptq::divide(layout, rows, around.multiprocessors);
  const gptq::Matmul matmul{op.floats(0),   reinterpret_cast<const uint32_t*>(op.bytes(1)),
                            op.floats(2),   op.result(),
                            layout,         division,
                            op.extent(),    around.partials,
                            around.arrivals};
  return [matmul, step = around.step](cudaStream_t stream) { gptq::matmul(matmul, step, stream); };
}

LaunchNode lower_attention(const abi::Node& node, const Operands& op, const Surroundings& around) {
  const uint32_t heads = heads_of(op.in(0), op.in(1));
  const uint32_t splits = attention_splits(around.shape.rows, heads,
                                           around.shape.pages_per_sequence, around.multiprocessors);
  const bool tiles = attends_in_tiles(around.shape.rows, op.in(1).dim[3], node.keys);
  return bind(tiles ? attention_tiles : attention,
              Attention{op.floats(0), op.order(3), op.result(), op.cache(1), op.cache(2), heads,
                        node.scalar, node.keys, splits, around.partials},
              around);
}

LaunchNode lower_rope_append(std::span<const uint32_t> nodes, const Surroundings& around) {
  const abi::Graph& graph = around.graph;
  const Operands q(graph.nodes[nodes[0]], around), k(graph.nodes[nodes[1]], around),
      append(graph.nodes[nodes[2]], around);
  return bind(
      rope_append,
      RopeAppend{q.floats(0), q.result(), k.floats(0), append.floats(1), append.cache(2),
                 append.cache(3), heads_of(q.in(0), append.in(2)), graph.nodes[nodes[0]].scalar},
      around);
}

LaunchNode lower_node(const abi::Node& node, const Surroundings& around) {
  const Operands op(node, around);
  switch (node.op) {
    case Op::embed:
      return bind(
          embed,
          Embed{op.bytes(0), op.weight(0, abi::WeightUse::embed).dtype, op.result(), op.width()},
          around);
    case Op::rms_norm:
      return bind(rms_norm,
                  RmsNorm{op.floats(0), op.floats(1), op.order(2), op.result(), op.width(),
                          node.scalar, op.extent()},
                  around);
    case Op::matmul:
      return lower_matmul(op, around);
    case Op::rope:
      return bind(rope,
                  Rope{op.floats(0), op.result(), width_of(op.in(0)) / op.in(0).dim[2],
                       op.in(0).dim[2], node.scalar},
                  around);
    case Op::kv_append:
      return bind(kv_append, KvAppend{op.floats(0), op.floats(1), op.cache(2), op.cache(3)},
                  around);
    case Op::attention:
      return lower_attention(node, op, around);
    case Op::silu_mul:
      return bind(silu_mul,
                  SiluMul{op.floats(0), op.floats(1), op.result(), op.width(), op.extent()},
                  around);
    case Op::add:
      return bind(add, Add{op.floats(0), op.floats(1), op.result(), op.width(), op.extent()},
                  around);
    case Op::permute:
      return bind(permute, Permute{op.floats(0), op.order(1), op.result(), op.width(), op.extent()},
                  around);
    case Op::select:
      return bind(select, Select{op.floats(0), op.result(), op.width()}, around);
  }
  throw abi::Failure(abi::StatusCode::unsupported, "an op that this version does not know");
}

}  // namespace

LaunchNode lower(std::span<const uint32_t> nodes, const Surroundings& around) {
  if (nodes.size() == 1) return lower_node(around.graph.nodes[nodes[0]], around);
  if (nodes.size() == 3 && around.graph.nodes[nodes[2]].op == Op::kv_append)
    return lower_rope_append(nodes, around);
  throw abi::Failure(abi::StatusCode::unsupported, "a step that was never claimed");
}

Workspace workspace_of(const abi::CompileRequest& request, uint32_t multiprocessors,
                       LongProducts long_products) {
  Workspace all;
  const abi::Graph& graph = *request.graph;
  for (const abi::Node& node : graph.nodes) {
    if (node.op == Op::matmul && graph.tensors[node.in[1]].dtype == DType::gptq) {
      const gptq::Layout layout = layout_of(graph.tensors[node.in[1]]);
      const uint32_t rows = most_rows(request.shape, extent_of(graph.tensors[node.out[0]]));
      if (long_products == LongProducts::cublas && rows >= gptq::kLeastLongRows) {
        all.long_bytes =
            std::max(all.long_bytes, Cublas::kWorkspaceBytes + gptq::long_places(layout, rows).end);
        continue;
      }
      const gptq::Division division = gptq::divide(layout, rows, multiprocessors);
      all.partial_floats = std::max(all.partial_floats, gptq::partial_floats(layout, division));
      all.arrival_words = std::max(all.arrival_words, gptq::arrival_words(layout, division));
    } else if (node.op == Op::attention) {
      const Tensor& keys = graph.tensors[node.in[1]];
      const uint32_t heads = heads_of(graph.tensors[node.in[0]], keys);
      const uint32_t splits = attention_splits(request.shape.rows, heads,
                                               request.shape.pages_per_sequence, multiprocessors);
      all.partial_floats =
          std::max(all.partial_floats,
                   attention_partial_floats(request.shape.rows, heads, keys.dim[3], splits));
    }
  }
  return all;
}

}  // namespace ropewalk::cuda
