#include "backends/cuda/program/lower.h"

#include <algorithm>

#include "backends/cuda/ops/attention_splits.h"
#include "backends/cuda/program/lower_product.h"
#include "core/abi/guard.h"
#include "core/abi/workspace.h"

namespace ropewalk::cuda {
namespace {

using abi::Op;
using abi::Tensor;

using LaunchNode = std::function<void(cudaStream_t)>;

// Binds an op and its launch: both are values, so nothing of the graph is kept.
template <class Struct>
LaunchNode bind(void (*launch)(const Struct&, const Launch&), const Struct& op,
                const Surroundings& around) {
  return [launch, op, step = around.step, rows = launch_rows(around.shape, Extent::rows),
          wanted = launch_rows(around.shape, Extent::wanted)](cudaStream_t stream) {
    launch(op, {step, rows, wanted, stream});
  };
}

Cache cache_of(const Tensor& t) { return {nullptr, t.dtype, t.dim[2], t.dim[3]}; }

// How an attention node is launched in a program.
struct AttentionPlan {
  AttentionPlan(const abi::Graph& graph, const abi::Node& node, const abi::ProgramShape& shape,
                const Target& target)
      : keys(cache_of(graph.tensors[node.in[1]])),
        heads(heads_of(graph.tensors[node.in[0]], graph.tensors[node.in[1]])),
        kernels(attention_kernels(
            shape.rows, {keys.dtype, keys.head_dim, node.attention().rotation}, target.choices)),
        single_rows(launch_rows(shape, Extent::rows)) {
    // A row that is no prompt's has its sequence for itself.
    if (kernels.tiles) single_rows = std::min(single_rows, std::max(shape.sequences, 1u));
    splits = attention_splits(uint64_t{single_rows} * (heads / heads_together(heads, keys)),
                              shape.pages_per_sequence * abi::kPageTokens, target);
    partial_floats = attention_partial_floats(single_rows, heads, keys.head_dim, splits);
    // Tiles leave their rows there until the order is applied, before the other kernel runs.
    if (kernels.tiles && node.in.size() == 4)
      partial_floats = std::max(partial_floats, uint64_t{shape.rows} * heads * keys.head_dim);
  }

  Cache keys;
  uint32_t heads;
  AttentionKernels kernels;
  uint32_t single_rows;  // that the kernel for single rows may have
  uint32_t splits;       // runs of keys of each of them
  uint64_t partial_floats;
};

LaunchNode lower_attention(const abi::Node& node, const Operands& op, const Surroundings& around) {
  const AttentionPlan plan(around.places.graph, node, around.shape, around.target);
  const abi::AttentionParams& params = node.attention();
  const Attention attends{op.floats(0),
                          op.order(3),
                          op.result(),
                          op.cache(1),
                          op.cache(2),
                          plan.heads,
                          params.scale,
                          params.rotation,
                          plan.kernels.tiles,
                          plan.splits,
                          around.target.tuning().least_keys,
                          around.partials};
  Surroundings few = around;
  few.shape.rows = plan.single_rows;
  const LaunchNode singles = bind(plan.kernels.split ? attention_split : attention, attends, few);
  if (!plan.kernels.tiles) return singles;
  return [tiles = bind(attention_tiles, attends, around), singles](cudaStream_t stream) {
    tiles(stream);
    singles(stream);
  };
}

LaunchNode lower_rope_append(std::span<const uint32_t> nodes, const Surroundings& around) {
  const abi::Graph& graph = around.places.graph;
  const Operands q(graph.nodes[nodes[0]], around.places), k(graph.nodes[nodes[1]], around.places),
      append(graph.nodes[nodes[2]], around.places);
  return bind(rope_append,
              RopeAppend{q.floats(0), q.result(), k.floats(0), append.floats(1), append.cache(2),
                         append.cache(3), heads_of(q.in(0), append.in(2)),
                         graph.nodes[nodes[0]].rope().scale},
              around);
}

LaunchNode lower_node(const abi::Node& node, const Surroundings& around) {
  const Operands op(node, around.places);
  switch (node.op) {
    case Op::embed:
      return bind(embed, Embed{op.bytes(0), op.in(0).dtype, op.result(), op.width()}, around);
    case Op::rms_norm:
      return bind(rms_norm,
                  RmsNorm{op.floats(0), op.floats(1), op.order(2), op.result(), op.width(),
                          node.norm().epsilon, op.extent()},
                  around);
    case Op::matmul:
      break;  // lower_product()
    case Op::rope:
      return bind(rope,
                  Rope{op.floats(0), op.result(), width_of(op.in(0)) / op.in(0).dim[2],
                       op.in(0).dim[2], node.rope().scale},
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

LaunchNode lower_nodes(std::span<const uint32_t> nodes, const Surroundings& around) {
  const std::span<const abi::Node> all = around.places.graph.nodes;
  if (all[nodes[0]].op == Op::matmul) return lower_product(nodes, around);
  if (nodes.size() == 1) return lower_node(all[nodes[0]], around);
  if (nodes.size() == 3 && all[nodes[2]].op == Op::kv_append)
    return lower_rope_append(nodes, around);
  throw abi::Failure(abi::StatusCode::unsupported, "a step that was never claimed");
}

}  // namespace

LaunchStep lower(std::span<const uint32_t> nodes, const Surroundings& around) {
  std::string name(around.places.graph.nodes[nodes[0]].name);
  if (nodes.size() > 1) name += " and " + std::to_string(nodes.size() - 1) + " more";
  return {std::move(name), lower_nodes(nodes, around)};
}

Workspace::Offsets Workspace::offsets() const {
  abi::WorkspaceCursor cursor(256);
  Offsets at{};
  at.arrivals = cursor.place(arrival_words * 4);
  at.step = cursor.place(step_bytes);
  at.partials = cursor.place(partial_floats * 4);
  at.prepared = cursor.place(prepared_bytes);
  at.halves = cursor.place(uint64_t{half_rows} * half_width * 2);
  at.half_scales = cursor.place(uint64_t{half_rows} * 4);
  at.long_products = cursor.place(long_needs.total());
  at.end = cursor.end();
  return at;
}

WorkspacePlaces Workspace::places(std::byte* begin) const {
  const Offsets at = offsets();
  return {begin + at.arrivals, begin + at.step,        begin + at.partials,     begin + at.prepared,
          begin + at.halves,   begin + at.half_scales, begin + at.long_products};
}

uint64_t Workspace::total() const { return offsets().end; }

Workspace workspace_of(const abi::CompileRequest& request, const Target& target) {
  Workspace all;
  const abi::Graph& graph = *request.graph;
  for (const abi::Claim& step : request.steps) {
    const abi::Node& node = graph.nodes[step.nodes[0]];
    if (node.op == Op::matmul) {
      add_needs(request, step.nodes, target, all);
    } else if (node.op == Op::attention) {
      const AttentionPlan plan(graph, node, request.shape, target);
      all.partial_floats = std::max(all.partial_floats, plan.partial_floats);
    }
  }
  return all;
}

}  // namespace ropewalk::cuda
