#include "backends/cuda/program/lower.h"

#include <algorithm>

#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/ops/attention_splits.h"
#include "backends/cuda/program/lower_product.h"
#include "core/abi/guard.h"
#include "core/abi/step_timing.h"

namespace ropewalk::cuda {
namespace {

using abi::Op;
using abi::Tensor;

using LaunchNode = std::function<void(cudaStream_t)>;

// Binds an op to its launch. Both are values, so nothing of the graph is kept.
template <class Struct>
LaunchNode bind(void (*launch)(const Struct&, const Launch&), const Struct& op,
                const CompileContext& context) {
  return [launch, op, step = context.step, rows = launch_rows(context.shape, Extent::rows),
          wanted = launch_rows(context.shape, Extent::wanted)](cudaStream_t stream) {
    launch(op, {step, rows, wanted, stream});
  };
}

// How an attention node is launched in a program.
struct AttentionPlan {
  AttentionPlan(const abi::Graph& graph, const abi::Node& node, const abi::ProgramShape& shape,
                const Target& target)
      : keys(cache_of(graph.tensors[node.in[1]], nullptr)),
        heads(heads_of(graph.tensors[node.in[0]], graph.tensors[node.in[1]])),
        kernels(attention_kernels(
            shape.rows, {keys.dtype, keys.head_dim, node.attention().rotation}, target.choices)),
        single_rows(launch_rows(shape, Extent::rows)) {
    kernels.ring = kernels.ring && can_ring(keys, gptq::copies_of(target), target.shared_bytes);
    kernels.wgmma = kernels.wgmma &&
                    can_use_wgmma(keys, node.attention(), target.capability, target.shared_bytes);
    // A row outside of prompts is the only one of its sequence.
    if (kernels.tiles) single_rows = std::min(single_rows, std::max(shape.sequences, 1u));
    const uint64_t planned = target.batch_invariant() ? kInvariantRows : single_rows;
    splits = attention_splits(planned * (heads / heads_together(heads, keys)),
                              shape.pages_per_sequence << keys.page_shift,
                              kernels.ring ? target.tuning().ring_runs : target.tuning().busy_runs,
                              target);
    partial_floats = attention_partial_floats(single_rows, heads, keys.head_dim, splits);
    // The kernel for tiles keeps its rows there until they are reordered; then the other one runs.
    if (kernels.tiles && node.in.size() == 4)
      partial_floats = std::max(partial_floats, uint64_t{shape.rows} * heads * keys.head_dim);
  }

  Cache keys;
  uint32_t heads;
  AttentionKernels kernels;
  uint32_t single_rows;  // rows that the kernel for single rows takes at most
  uint32_t splits;       // runs of keys for each of them
  uint64_t partial_floats;
};

LaunchNode lower_attention(const abi::Node& node, const Operands& op,
                           const CompileContext& context) {
  const AttentionPlan plan(context.tensors.graph, node, context.shape, context.target);
  const abi::AttentionParams& params = node.attention();
  Attention launched{op.floats(0),    op.order(3),
                     op.result(),     op.cache(1),
                     op.cache(2),     plan.heads,
                     params,          plan.kernels.tiles,
                     plan.splits,     context.target.tuning().min_keys,
                     context.partials};
  if (context.prepared->folded(node.out[0]).from) launched.order = nullptr;
  launched.halves = context.prepared->is_half(node.out[0]);
  if (!plan.kernels.tiles) launched.prepared = context.prepared->write(node.out[0]);
  const uint32_t together = plan.kernels.split ? heads_together(plan.heads, plan.keys) : 1;
  if (context.target.choices.combine == CombineChoice::last && last_combines(launched, together))
    launched.counters = context.tile_counters;
  CompileContext few = context;
  few.shape.rows = plan.single_rows;
  launched.copies = gptq::copies_of(context.target);
  launched.start = gptq::start_of(context.target);
  launched.lets_next_at_begin = context.target.tuning().lets_next_late == 0;
  const LaunchNode singles = bind(plan.kernels.ring    ? attention_ring
                                  : plan.kernels.split ? attention_split
                                                       : attention,
                                  launched, few);
  if (!plan.kernels.tiles) return singles;
  return [tiles = bind(plan.kernels.wgmma ? attention_wgmma : attention_tiles, launched, context),
          singles](cudaStream_t stream) {
    tiles(stream);
    singles(stream);
  };
}

RmsNorm norm_of(const abi::Node& node, const Operands& op, const CompileContext& context) {
  const uint32_t width = op.in(1).dim[0], runs = op.width() / width;
  RmsNorm norm{op.floats(0), op.floats(1), op.order(2),         op.result(),
               runs,         width,        node.norm().epsilon, op.extent()};
  if (runs == 1) norm.prepared = context.prepared->write(node.out[0]);
  return norm;
}

LaunchNode lower_rope_append(std::span<const uint32_t> nodes, const CompileContext& context) {
  const abi::Graph& graph = context.tensors.graph;
  const Operands q(graph.nodes[nodes[0]], context.tensors),
      k(graph.nodes[nodes[1]], context.tensors), append(graph.nodes[nodes[2]], context.tensors);
  return bind(rope_append,
              RopeAppend{q.floats(0), q.result(), k.floats(0), append.floats(1), append.cache(2),
                         append.cache(3), heads_of(q.in(0), append.in(2)),
                         graph.nodes[nodes[0]].rope().scale},
              context);
}

LowRank low_rank_of(const Operands& op, const CompileContext& context) {
  return {op.floats(0),
          op.floats(1),
          reinterpret_cast<const __half*>(op.bytes(2)),
          reinterpret_cast<const __half*>(op.bytes(3)),
          op.order(4),
          op.floats(5),
          op.result(),
          context.partials,
          op.width_in(),
          op.width(),
          op.in(2).dim[2],
          op.in(3).dim[2],
          low_rank_splits(op.width_in()),
          context.target.batch_invariant(),
          op.extent()};
}

LaunchNode lower_node(const abi::Node& node, const CompileContext& context) {
  const Operands op(node, context.tensors);
  switch (node.op) {
    case Op::embed:
      return bind(embed,
                  Embed{op.bytes(0), op.in(0).dtype, op.result(), op.width(), node.embed().scale},
                  context);
    case Op::rms_norm:
      if (context.prepared->folded(node.out[0]).from) return [](cudaStream_t) {};
      return bind(rms_norm, norm_of(node, op, context), context);
    case Op::matmul:
      break;  // lower_product()
    case Op::rope:
      return bind(rope,
                  Rope{op.floats(0), op.result(), width_of(op.in(0)) / op.in(0).dim[2],
                       op.in(0).dim[2], node.rope().scale},
                  context);
    case Op::kv_append:
      return bind(kv_append, KvAppend{op.floats(0), op.floats(1), op.cache(2), op.cache(3)},
                  context);
    case Op::attention:
      return lower_attention(node, op, context);
    case Op::silu_mul:
      return bind(silu_mul,
                  GateMul{op.floats(0), op.floats(1), op.result(), op.width(), op.extent()},
                  context);
    case Op::gelu_mul:
      return bind(gelu_mul,
                  GateMul{op.floats(0), op.floats(1), op.result(), op.width(), op.extent()},
                  context);
    case Op::add:
      return bind(
          add,
          Add{op.floats(0), op.floats(1), op.result(), op.width(), node.add().scale, op.extent()},
          context);
    case Op::permute:
      return bind(permute, Permute{op.floats(0), op.order(1), op.result(), op.width(), op.extent()},
                  context);
    case Op::select:
      return bind(select, Select{op.floats(0), op.result(), op.width()}, context);
    case Op::low_rank:
      return bind(low_rank, low_rank_of(op, context), context);
  }
  throw abi::Failure(abi::StatusCode::unsupported, "an op that this version does not know");
}

LaunchNode lower_nodes(std::span<const uint32_t> nodes, const CompileContext& context) {
  const std::span<const abi::Node> all = context.tensors.graph.nodes;
  if (all[nodes[0]].op == Op::matmul) return lower_product(nodes, context);
  if (nodes.size() == 1) return lower_node(all[nodes[0]], context);
  if (nodes.size() == 3 && all[nodes[2]].op == Op::kv_append)
    return lower_rope_append(nodes, context);
  throw abi::Failure(abi::StatusCode::unsupported, "a step that was never claimed");
}

}  // namespace

LaunchStep lower(std::span<const uint32_t> nodes, const CompileContext& context) {
  const abi::Graph& graph = context.tensors.graph;
  CompileContext of_table = context;
  uint32_t table = 0;  // of all nodes of a fusion that rotate
  for (const uint32_t n : nodes) table = std::max(table, abi::rope_table_of(graph.nodes[n]));
  of_table.step.inv_freq += table * abi::rope_sizes_of(graph).half_dim;
  return {abi::group_name(graph, nodes), lower_nodes(nodes, of_table)};
}

WorkspaceNeeds workspace_needs(const abi::CompileRequest& request, const Target& target) {
  WorkspaceNeeds needs;
  const abi::Graph& graph = *request.graph;
  for (const abi::Claim& step : request.steps) {
    const abi::Node& node = graph.nodes[step.nodes[0]];
    if (node.op == Op::matmul) {
      add_needs(request, step.nodes, target, needs);
    } else if (node.op == Op::attention) {
      const AttentionPlan plan(graph, node, request.shape, target);
      needs.partial_floats = std::max(needs.partial_floats, plan.partial_floats);
      needs.tile_counters = std::max(needs.tile_counters, uint64_t{kMaxRows} * plan.heads);
    } else if (node.op == Op::low_rank) {
      const Tensor& a = graph.tensors[node.in[2]];  // (slots, depth, cap)
      const uint32_t rows = launch_rows(request.shape, extent_of(graph.tensors[node.out[0]]));
      needs.partial_floats =
          std::max(needs.partial_floats, uint64_t{rows} * low_rank_splits(a.dim[1]) * a.dim[2]);
    }
  }
  return needs;
}

}  // namespace ropewalk::cuda
