#include "backends/cuda/program/lower_product.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "backends/cuda/gptq/division.h"
#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/gptq/x_to_f16.h"
#include "backends/cuda/ops/attention_splits.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;
using abi::Graph;
using abi::Node;
using abi::Op;
using abi::Tensor;

using NodeIndices = std::span<const uint32_t>;

// Assumes headers of one word. A weight with f32 scales has two; that is known once it is packed.
gptq::Layout planned_layout_of(const Tensor& weight) {
  if (weight.dtype != DType::gptq) return {weight.dim[0], weight.dim[1], 0, weight.dim[0], 0};
  return {weight.dim[0], weight.dim[1], weight.bits, weight.group_size, 1};
}

DType dtype_of(const Graph& graph, NodeIndices nodes) {
  return graph.tensors[graph.nodes[nodes[0]].in[1]].dtype;
}

gptq::Matmul packed(const Product& product, uint32_t rows, MatmulKernel kernel,
                    const Target& target) {
  const uint32_t tiles = column_tiles(product);
  return {product, gptq::divide(product.part[0].layout, tiles, rows, row_block_of(kernel), target),
          nullptr, nullptr,
          nullptr, nullptr};
}

// The streaming kernel for so many rows. Nothing where it does not take them.
std::optional<gptq::LeanMatmul> streamed(const Product& product, uint32_t rows,
                                         const Target& target) {
  return rows <= gptq::kLeanMaxRows ? gptq::lean_matmul_of(product, rows, target)
                                    : gptq::lean_wide_of(product, rows, target);
}

// Whether its weights may have small headers. Whether they do is known once they are packed.
bool may_be_lean(const Product& product) {
  const gptq::Layout& l = product.part[0].layout;
  return l.bits == 4 && l.group_size == gptq::kBlockRows;
}

bool is_wide(const gptq::Matmul& matmul) { return matmul.division.tiles_at_once > 1; }

// Fills in the pointers.
void set_pointers(NodeIndices nodes, const TensorTable& tensors, Product& product) {
  const std::span<const Node> all = tensors.graph.nodes;
  for (uint32_t i = 0; i < product.parts; ++i) {
    const Operands op(all[nodes[i]], tensors);
    const gptq::Layout& layout = op.weight(1, abi::WeightUse::matmul);
    product.x = op.floats(0);
    product.part[i] = {op.bytes(1), op.floats(2),
                       product.epilogue == Epilogue::none ? op.result() : nullptr, layout};
  }
  const Operands last(all[nodes.back()], tensors);
  if (product.epilogue == Epilogue::add || product.epilogue == Epilogue::gate_mul) {
    const bool sum_is_second = all[nodes.back()].in[1] == all[nodes[0]].out[0];
    if (product.parts == 1) product.other = last.floats(sum_is_second ? 0 : 1);
    product.y = last.result();
  } else if (product.epilogue == Epilogue::rope_append) {
    product.append.q_rotated = Operands(all[nodes[3]], tensors).result();
    product.append.keys = last.cache(2);
    product.append.values = last.cache(3);
  }
}

gptq::XToF16 to_f16_of(const Product& product, uint32_t rows, const CompileContext& context) {
  return {product.x, context.x_f16, context.x_scales, DType::f16, product.part[0].layout,
          rows,      product.extent};
}

std::function<void(cudaStream_t)> lean_wide(gptq::LeanMatmul matmul,
                                            const CompileContext& context) {
  matmul.x_f16 = context.x_f16;
  matmul.x_scales = context.x_scales;
  return [matmul, to_f16 = to_f16_of(matmul, matmul.rows, context),
          step = context.step](cudaStream_t stream) {
    gptq::x_to_f16(to_f16, step, stream);
    gptq::lean_wide(matmul, step, stream);
  };
}

std::function<void(cudaStream_t)> lean(NodeIndices nodes, gptq::LeanMatmul matmul,
                                       const CompileContext& context) {
  const std::span<const Node> all = context.tensors.graph.nodes;
  const uint32_t x = all[nodes[0]].in[0];
  matmul.partials = context.partials;
  matmul.tile_counters = context.tile_counters;
  if (matmul.rows > gptq::kLeanMaxRows) return lean_wide(matmul, context);
  matmul.folded = context.prepared->folded(x);
  const bool is_folded = matmul.folded.from != nullptr;
  if (!is_folded) matmul.prepared = context.prepared->find(x);
  const bool is_prepared = is_folded || matmul.prepared.x_f16 != nullptr;
  if (!is_prepared) matmul.prepared = context.prepared->write(x);
  if (matmul.epilogue == Epilogue::gate_mul && matmul.parts == 2)
    matmul.next = context.prepared->write(all[nodes.back()].out[0]);
  if (is_prepared)
    return [matmul, step = context.step](cudaStream_t stream) {
      gptq::lean_matmul(matmul, step, stream);
    };
  const gptq::PrepareX prepare{matmul.x, matmul.part[0].layout.rows, matmul.prepared, matmul.rows,
                               matmul.extent};
  return [matmul, prepare, step = context.step](cudaStream_t stream) {
    gptq::prepare_x(prepare, step, stream);
    gptq::lean_matmul(matmul, step, stream);
  };
}

// The kernel of a product whose weights are packed, or dense.
MatmulKernel kernel_of(const Product& product, DType dtype, uint32_t rows, const Target& target) {
  const MatmulKernel kernel = kernel_for(dtype, rows, target);
  if (kernel != MatmulKernel::lean) return kernel;
  return gptq::is_lean(product) && streamed(product, rows, target)
             ? kernel
             : kernel_without_lean(rows, target);
}

// The packed product of a step, where it is a large batch.
std::optional<Product> large_batch_of(NodeIndices nodes, const CompileContext& context) {
  const Graph& graph = context.tensors.graph;
  if (graph.nodes[nodes[0]].op != Op::matmul || dtype_of(graph, nodes) != DType::gptq)
    return std::nullopt;
  Product product = product_of(graph, nodes);
  set_pointers(nodes, context.tensors, product);
  const uint32_t rows = launch_rows(context.shape, product.extent);
  if (kernel_of(product, DType::gptq, rows, context.target) != MatmulKernel::cublas)
    return std::nullopt;
  return product;
}

LargeBatchLinks links_of(NodeIndices nodes, const CompileContext& context) {
  const std::span<const Node> all = context.tensors.graph.nodes;
  const uint32_t x = all[nodes[0]].in[0];
  const PreparedBuffers& prepared = *context.prepared;
  const bool rotates = all[nodes.back()].op == Op::kv_append;
  return {prepared.folded(x), prepared.is_gated(x),
          !all[nodes.back()].out.empty() && prepared.is_gated(all[nodes.back()].out[0]),
          rotates && prepared.is_half(all[nodes[3]].out[0])};
}

// The streaming kernel for a step of up to 8 rows, where it takes it.
std::optional<gptq::LeanMatmul> lean_of(NodeIndices nodes, const CompileContext& context) {
  const Graph& graph = context.tensors.graph;
  if (graph.nodes[nodes[0]].op != Op::matmul || dtype_of(graph, nodes) != DType::gptq)
    return std::nullopt;
  Product product = product_of(graph, nodes);
  set_pointers(nodes, context.tensors, product);
  const uint32_t rows = launch_rows(context.shape, product.extent);
  if (kernel_for(DType::gptq, rows, context.target) != MatmulKernel::lean ||
      rows > gptq::kLeanMaxRows || !gptq::is_lean(product))
    return std::nullopt;
  return gptq::lean_matmul_of(product, rows, context.target);
}

// The nodes that read a tensor.
struct Readers {
  bool can_fold = true;     // all are products that can compute it
  bool are_large = false;   // some are large-batch products
  uint32_t last = 0;        // last node of the last step of them; 0: none
  std::vector<size_t> all;  // the steps
};

// Whether a tensor keeps its contents from the node `first` to the node `last`, both included. The
// output of `first` itself is not written.
bool stays_intact(const Graph& graph, uint32_t tensor, uint32_t first, uint32_t last) {
  const abi::Slice& mine = graph.tensors[tensor].at;
  for (uint32_t n = first + 1; n <= last; ++n)
    for (const uint32_t out : graph.nodes[n].out) {
      const abi::Slice& other = graph.tensors[out].at;
      if (other.buffer.id == mine.buffer.id && other.offset < mine.offset + mine.bytes &&
          mine.offset < other.offset + other.bytes)
        return false;
    }
  return true;
}

// Lets the products that read the node's result compute it, where they can.
void fold_node(uint32_t n, const std::vector<Readers>& readers, const CompileContext& context) {
  const Graph& graph = context.tensors.graph;
  const Node& node = graph.nodes[n];
  if (node.out.empty() || readers[node.out[0]].last == 0 || !readers[node.out[0]].can_fold) return;
  const Operands op(node, context.tensors);
  const Choices& choices = context.target.choices;
  const bool are_large = readers[node.out[0]].are_large;
  if (node.op == Op::rms_norm && (are_large || choices.norms == NormChoice::folded) &&
      width_of(op.in(0)) == op.in(1).dim[0] &&
      stays_intact(graph, node.in[0], n, readers[node.out[0]].last))
    context.prepared->fold(node.out[0],
                           {op.floats(0), op.floats(1), op.order(2), node.norm().epsilon});
  const bool is_half = context.prepared->is_half(node.out[0]);
  const bool is_reordered = op.order(3) && (are_large || choices.combine == CombineChoice::last);
  if (node.op == Op::attention && (is_half || is_reordered))
    context.prepared->fold(node.out[0], {op.result(), nullptr, op.order(3), 0, is_half});
}

// Lets large-batch products of gate and up leave f16 to those that read theirs. There is memory for
// one at a time.
void plan_gated(const std::vector<std::optional<Product>>& large, std::span<const abi::Claim> steps,
                const std::vector<Readers>& readers, const CompileContext& context) {
  const Graph& graph = context.tensors.graph;
  uint32_t free_from = 0;  // the node
  for (size_t s = 0; s < steps.size(); ++s) {
    const NodeIndices nodes = steps[s].nodes;
    if (!large[s] || nodes[0] < free_from || graph.nodes[nodes.back()].out.empty()) continue;
    const uint32_t y = graph.nodes[nodes.back()].out[0];
    const auto takes_it = [&](size_t reader) {
      return large[reader] && graph.nodes[steps[reader].nodes[0]].in[0] == y &&
             LargeBatchMatmul::can_pass_gated(*large[s], *large[reader], context.target);
    };
    if (!readers[y].can_fold || readers[y].all.empty() ||
        !std::ranges::all_of(readers[y].all, takes_it))
      continue;
    context.prepared->keep_gated(y);
    free_from = readers[y].last + 1;
  }
}

// Lets attention for prompts read queries as f16 from a large-batch product, and leave f16 to such
// products, where nothing else reads either. Values of an f16 cache and their means fit f16.
void plan_halves(const std::vector<std::optional<Product>>& large,
                 std::span<const abi::Claim> steps, const std::vector<Readers>& readers,
                 const CompileContext& context) {
  const Graph& graph = context.tensors.graph;
  for (size_t s = 0; s < steps.size(); ++s) {
    if (!large[s] || !LargeBatchMatmul::can_pass_half_queries(*large[s], context.target)) continue;
    const uint32_t q = graph.nodes[steps[s].nodes[3]].out[0];
    if (readers[q].all.size() != 1 || std::ranges::count(graph.outputs, q)) continue;
    const Node& reader = graph.nodes[steps[readers[q].all[0]].nodes[0]];
    if (reader.op != Op::attention || reader.in[0] != q) continue;
    const Tensor& keys = graph.tensors[reader.in[1]];
    const AttentionKernels kernels = attention_kernels(
        context.shape.rows, {keys.dtype, keys.dim[3], reader.attention().rotation},
        context.target.choices);
    const Readers& of_y = readers[reader.out[0]];
    const auto is_large = [&](size_t step) { return large[step].has_value(); };
    if (!kernels.tiles || !kernels.split || keys.dtype != DType::f16 || !of_y.can_fold ||
        of_y.all.empty() || !std::ranges::all_of(of_y.all, is_large))
      continue;
    context.prepared->keep_half(q);
    context.prepared->keep_half(reader.out[0]);
  }
}

DenseMatmul dense(const Product& product, DType dtype) {
  const Part& part = product.part[0];
  return {product.x,        part.weight,      dtype,         part.bias, part.y,
          part.layout.rows, part.layout.cols, product.extent};
}

std::function<void(cudaStream_t)> lower_dense(const DenseMatmul& op, uint32_t rows,
                                              const CompileContext& context) {
  const Target& target = context.target;
  const DenseStream how{target.multiprocessors, gptq::copies_of(target), gptq::start_of(target)};
  if (!target.batch_invariant() && rows <= target.tuning().stream_rows &&
      can_stream(op, rows, how, target.shared_bytes))
    return [op, how, rows, step = context.step](cudaStream_t stream) {
      dense_stream(op, how, {step, rows, rows, stream});
    };
  return [op, rows, step = context.step](cudaStream_t stream) {
    dense_matmul(op, {step, rows, rows, stream});
  };
}

}  // namespace

Product product_of(const Graph& graph, NodeIndices nodes) {
  Product product{};
  for (const uint32_t n : nodes) {
    const Node& node = graph.nodes[n];
    if (node.op == Op::matmul)
      product.part[product.parts++].layout = planned_layout_of(graph.tensors[node.in[1]]);
  }
  const Node& last = graph.nodes[nodes.back()];
  product.extent = extent_of(graph.tensors[graph.nodes[nodes[0]].out[0]]);
  if (last.op == Op::add) product.epilogue = Epilogue::add;
  if (last.op == Op::silu_mul || last.op == Op::gelu_mul) product.epilogue = Epilogue::gate_mul;
  product.activation = last.op == Op::gelu_mul ? Activation::gelu : Activation::silu;
  if (last.op == Op::kv_append) {
    product.epilogue = Epilogue::rope_append;
    const Tensor &keys = graph.tensors[last.in[2]], &values = graph.tensors[last.in[3]];
    product.append.keys = cache_of(keys, nullptr);
    product.append.values = cache_of(values, nullptr);
    product.append.heads = heads_of(graph.tensors[graph.nodes[nodes[0]].out[0]], keys);
    product.append.scale = graph.nodes[nodes[3]].rope().scale;
  }
  return product;
}

void add_needs(const abi::CompileRequest& request, NodeIndices nodes, const Target& target,
               WorkspaceNeeds& needs) {
  const Product product = product_of(*request.graph, nodes);
  const DType dtype = dtype_of(*request.graph, nodes);
  const uint32_t rows = launch_rows(request.shape, product.extent);
  MatmulKernel kernel = kernel_for(dtype, rows, target);
  if (dtype == DType::gptq)
    needs.tile_counters =
        std::max(needs.tile_counters, uint64_t{kMaxRowBlocks} * column_tiles(product));
  if (kernel == MatmulKernel::vector) return;
  const auto include_x_f16 = [&] {
    needs.x_f16_rows = std::max(needs.x_f16_rows, rows);
    needs.x_f16_width = std::max(needs.x_f16_width, gptq::padded_rows(product.part[0].layout));
  };
  if (kernel == MatmulKernel::lean) {
    if (const auto lean = streamed(product, rows, target); lean && may_be_lean(product)) {
      needs.partial_floats = std::max(needs.partial_floats, gptq::partial_floats(*lean));
      if (rows > gptq::kLeanMaxRows)
        include_x_f16();
      else
        needs.prepared_bytes =
            std::max(needs.prepared_bytes, gptq::prepared_bytes(rows, product.part[0].layout.rows));
    }
    kernel = kernel_without_lean(rows, target);
  }
  if (kernel == MatmulKernel::cublas)
    return needs.large_batch.include(LargeBatchMatmul::needs(product, dtype, rows, target));
  const gptq::Matmul matmul = packed(product, rows, kernel, target);
  needs.partial_floats = std::max(needs.partial_floats, gptq::partial_floats(matmul));
  if (is_wide(matmul)) include_x_f16();
}

void plan_x(std::span<const abi::Claim> steps, const CompileContext& context) {
  const Graph& graph = context.tensors.graph;
  std::vector<Readers> readers(graph.tensors.size());
  std::vector<std::optional<Product>> large;  // (steps)
  for (const uint32_t output : graph.outputs) readers[output].can_fold = false;
  for (const abi::Claim& step : steps) {
    const uint32_t x = graph.nodes[step.nodes[0]].in.empty() ? 0 : graph.nodes[step.nodes[0]].in[0];
    const std::optional<gptq::LeanMatmul> matmul = lean_of(step.nodes, context);
    large.push_back(large_batch_of(step.nodes, context));
    if (matmul) context.prepared->expect(x);
    const bool can_fold =
        matmul ? gptq::can_fold(*matmul, context.target)
               : large.back() && LargeBatchMatmul::can_fold(*large.back(), context.target);
    for (const uint32_t n : step.nodes)
      for (const uint32_t tensor : graph.nodes[n].in) {
        Readers& of = readers[tensor];
        of.can_fold = of.can_fold && can_fold && tensor == x && graph.nodes[n].op == Op::matmul;
        of.are_large = of.are_large || large.back();
        of.last = step.nodes.back();
        of.all.push_back(large.size() - 1);
      }
  }
  plan_halves(large, steps, readers, context);
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) fold_node(n, readers, context);
  plan_gated(large, steps, readers, context);
}

std::function<void(cudaStream_t)> lower_product(NodeIndices nodes, const CompileContext& context) {
  Product product = product_of(context.tensors.graph, nodes);
  set_pointers(nodes, context.tensors, product);
  const DType dtype = dtype_of(context.tensors.graph, nodes);
  const uint32_t rows = launch_rows(context.shape, product.extent);
  const MatmulKernel kernel = kernel_of(product, dtype, rows, context.target);
  if (kernel == MatmulKernel::lean)
    return lean(nodes, *streamed(product, rows, context.target), context);
  if (kernel == MatmulKernel::cublas)
    return LargeBatchMatmul(product, dtype, rows, links_of(nodes, context), context.large_batch,
                            context.step);
  if (kernel == MatmulKernel::vector) return lower_dense(dense(product, dtype), rows, context);
  gptq::Matmul matmul = packed(product, rows, kernel, context.target);
  matmul.partials = context.partials;
  matmul.tile_counters = context.tile_counters;
  if (!is_wide(matmul))
    return
        [matmul, step = context.step](cudaStream_t stream) { gptq::matmul(matmul, step, stream); };
  matmul.x_f16 = context.x_f16;
  matmul.x_scales = context.x_scales;
  return [matmul, to_f16 = to_f16_of(matmul, rows, context),
          step = context.step](cudaStream_t stream) {
    gptq::x_to_f16(to_f16, step, stream);
    gptq::matmul(matmul, step, stream);
  };
}

}  // namespace ropewalk::cuda
