#include "backends/cuda/program/lower_product.h"

#include <algorithm>

#include "backends/cuda/gptq/large_batch/dequantise.h"
#include "backends/cuda/gptq/lean/matmul.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;
using abi::Graph;
using abi::Node;
using abi::Op;
using abi::Tensor;

using Nodes = std::span<const uint32_t>;

// A scale of f32 makes headers of two words; that is known once the weight is packed.
gptq::Layout layout_of(const Tensor& weight) {
  if (weight.dtype != DType::gptq) return {weight.dim[0], weight.dim[1], 0, weight.dim[0], 0};
  return {weight.dim[0], weight.dim[1], weight.bits, weight.group_size, 1};
}

DType dtype_of(const Graph& graph, Nodes nodes) {
  return graph.tensors[graph.nodes[nodes[0]].in[1]].dtype;
}

// Of all parts' columns.
uint32_t tiles_of(const Product& product) {
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < product.parts; ++i) tiles += gptq::column_tiles(product.part[i].layout);
  return tiles;
}

gptq::Matmul packed(const Product& product, uint32_t rows, ProductKernel kernel,
                    const Target& target) {
  const uint32_t tiles = tiles_of(product);
  return {product, gptq::divide(product.part[0].layout, tiles, rows, row_block_of(kernel), target),
          nullptr, nullptr,
          nullptr, nullptr};
}

// Whether its weights can have small headers, which is known once they are packed.
bool may_be_lean(const Product& product) {
  const gptq::Layout& l = product.part[0].layout;
  return l.bits == 4 && l.group_size == gptq::kBlockRows;
}

bool is_wide(const gptq::Matmul& matmul) { return matmul.division.tiles_at_once > 1; }

// What is written where.
void place(Nodes nodes, const Places& places, Product& product) {
  const std::span<const Node> all = places.graph.nodes;
  for (uint32_t i = 0; i < product.parts; ++i) {
    const Operands op(all[nodes[i]], places);
    const gptq::Layout& layout = op.weight(1, abi::WeightUse::matmul);
    product.x = op.floats(0);
    product.part[i] = {op.bytes(1), op.floats(2),
                       product.epilogue == Epilogue::none ? op.result() : nullptr, layout};
  }
  const Operands last(all[nodes.back()], places);
  if (product.epilogue == Epilogue::add || product.epilogue == Epilogue::silu_mul) {
    const bool sum_is_second = all[nodes.back()].in[1] == all[nodes[0]].out[0];
    if (product.parts == 1) product.other = last.floats(sum_is_second ? 0 : 1);
    product.y = last.result();
  } else if (product.epilogue == Epilogue::rope_append) {
    product.append.q_turned = Operands(all[nodes[3]], places).result();
    product.append.keys = last.cache(2);
    product.append.values = last.cache(3);
  }
}

std::function<void(cudaStream_t)> lean(const Product& product, uint32_t rows,
                                       const Surroundings& around) {
  gptq::LeanMatmul matmul = gptq::lean_matmul_of(product, rows, around.target);
  const uint32_t depth = product.part[0].layout.rows;
  matmul.prepared = gptq::prepared_at(around.prepared, rows, depth);
  matmul.partials = around.partials;
  matmul.arrivals = around.arrivals;
  const gptq::PrepareX prepare{matmul.x, depth, matmul.prepared, rows, matmul.extent};
  return [matmul, prepare, step = around.step](cudaStream_t stream) {
    gptq::prepare_x(prepare, step, stream);
    gptq::lean_matmul(matmul, step, stream);
  };
}

DenseMatmul dense(const Product& product, DType dtype) {
  const Part& part = product.part[0];
  return {product.x,        part.weight,      dtype,         part.bias, part.y,
          part.layout.rows, part.layout.cols, product.extent};
}

}  // namespace

Product product_of(const Graph& graph, Nodes nodes) {
  Product product{};
  for (const uint32_t n : nodes) {
    const Node& node = graph.nodes[n];
    if (node.op == Op::matmul)
      product.part[product.parts++].layout = layout_of(graph.tensors[node.in[1]]);
  }
  const Node& last = graph.nodes[nodes.back()];
  product.extent = extent_of(graph.tensors[graph.nodes[nodes[0]].out[0]]);
  if (last.op == Op::add) product.epilogue = Epilogue::add;
  if (last.op == Op::silu_mul) product.epilogue = Epilogue::silu_mul;
  if (last.op == Op::kv_append) {
    product.epilogue = Epilogue::rope_append;
    const Tensor &keys = graph.tensors[last.in[2]], &values = graph.tensors[last.in[3]];
    product.append.keys = {nullptr, keys.dtype, keys.dim[2], keys.dim[3]};
    product.append.values = {nullptr, values.dtype, values.dim[2], values.dim[3]};
    product.append.heads = heads_of(graph.tensors[graph.nodes[nodes[0]].out[0]], keys);
    product.append.scale = graph.nodes[nodes[3]].rope().scale;
  }
  return product;
}

void add_needs(const abi::CompileRequest& request, Nodes nodes, const Target& target,
               Workspace& all) {
  const Product product = product_of(*request.graph, nodes);
  const DType dtype = dtype_of(*request.graph, nodes);
  const uint32_t rows = launch_rows(request.shape, product.extent);
  const ProductKernel kernel = kernel_for(dtype, rows, target);
  if (dtype == DType::gptq)
    all.arrival_words = std::max(all.arrival_words, uint64_t{kMostRowBlocks} * tiles_of(product));
  if (kernel == ProductKernel::vector) return;
  if (kernel == ProductKernel::cublas)
    return all.long_needs.cover(LongProduct::needs(product, dtype, rows, target));
  const gptq::Matmul matmul = packed(product, rows, kernel, target);
  all.partial_floats = std::max(all.partial_floats, gptq::partial_floats(matmul));
  if (kernel == ProductKernel::lean && may_be_lean(product)) {
    const gptq::LeanMatmul lean = gptq::lean_matmul_of(product, rows, target);
    all.partial_floats = std::max(all.partial_floats, gptq::partial_floats(lean));
    all.prepared_bytes =
        std::max(all.prepared_bytes, gptq::prepared_bytes(rows, product.part[0].layout.rows));
  }
  if (!is_wide(matmul)) return;
  all.half_rows = std::max(all.half_rows, rows);
  all.half_width = std::max(all.half_width, gptq::padded_rows(matmul.part[0].layout));
}

std::function<void(cudaStream_t)> lower_product(Nodes nodes, const Surroundings& around) {
  Product product = product_of(around.places.graph, nodes);
  place(nodes, around.places, product);
  const DType dtype = dtype_of(around.places.graph, nodes);
  const uint32_t rows = launch_rows(around.shape, product.extent);
  const ProductKernel kernel = kernel_for(dtype, rows, around.target);
  if (kernel == ProductKernel::cublas)
    return LongProduct(product, dtype, rows, around.long_host, around.step);
  if (kernel == ProductKernel::vector)
    return [op = dense(product, dtype), rows, step = around.step](cudaStream_t stream) {
      dense_matmul(op, {step, rows, rows, stream});
    };
  if (kernel == ProductKernel::lean && gptq::is_lean(product)) return lean(product, rows, around);
  gptq::Matmul matmul = packed(product, rows, kernel, around.target);
  matmul.partials = around.partials;
  matmul.arrivals = around.arrivals;
  if (!is_wide(matmul))
    return
        [matmul, step = around.step](cudaStream_t stream) { gptq::matmul(matmul, step, stream); };
  matmul.halves = around.halves;
  matmul.scales = around.half_scales;
  const gptq::HalfRows halves{matmul.x,     around.halves,         around.half_scales,
                              DType::f16,   matmul.part[0].layout, rows,
                              matmul.extent};
  return [matmul, halves, step = around.step](cudaStream_t stream) {
    gptq::half_rows(halves, step, stream);
    gptq::matmul(matmul, step, stream);
  };
}

}  // namespace ropewalk::cuda
