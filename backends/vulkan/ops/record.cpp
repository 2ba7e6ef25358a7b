// From a claimed step to its dispatches: the op of one node, or a fusion.
#include <algorithm>

#include "backends/vulkan/ops/ops.h"
#include "backends/vulkan/program/fusions.h"
#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

using abi::Op;

void record_node(const Operands& op, Recorder& recorder) {
  switch (op.node().op) {
    case Op::embed:
      return embed(op, recorder);
    case Op::rms_norm:
      return rms_norm(op, recorder);
    case Op::matmul:
      return matmul(op, {Epilogue::Kind::none, {}, op.result()}, recorder);
    case Op::rope:
      return rope(op, recorder);
    case Op::kv_append:
      return kv_append(op, {{}, op.range(0), op.range(1), nullptr}, recorder);
    case Op::attention:
      return attention(op, recorder);
    case Op::silu_mul:
      return gate_mul(op, kSiluMul, recorder);
    case Op::gelu_mul:
      return gate_mul(op, kGeluMul, recorder);
    case Op::add:
      return add(op, recorder);
    case Op::permute:
      return permute(op, recorder);
    case Op::select:
      return select(op, recorder);
    case Op::low_rank:
      return low_rank(op, recorder);
  }
}

uint64_t bytes_of(const abi::Tensor& tensor, const abi::ProgramShape& shape) {
  constexpr uint64_t kAlignment = 256;
  return abi::align_up(max_rows(shape, extent_of(tensor)) * row_width(tensor) * sizeof(float),
                       kAlignment);
}

std::vector<Place> places_of(const CompileContext& context, const abi::Claim& step) {
  std::vector<Place> places;
  VkDeviceAddress begin = context.between.begin;
  for (const uint32_t tensor : values_between(context.graph, step)) {
    const VkDeviceAddress end = begin + bytes_of(context.graph.tensors[tensor], context.shape);
    places.push_back({tensor, {begin, end}});
    begin = end;
  }
  return places;
}

// Two or three products of one x, with an rms_norm before them or without.
void record_products(std::span<const Operands> nodes, Recorder& recorder) {
  Products products{nodes[0].node().op == Op::rms_norm ? &nodes[0] : nullptr, {}};
  size_t n = products.norm ? 1 : 0;
  while (nodes[n].node().op == Op::matmul) products.product.push_back(nodes[n++]);
  if (nodes[n].node().op == Op::silu_mul) return gated_matmul(products, nodes[n], recorder);
  qkv_append(products, nodes[n], nodes.back(), recorder);
}

// Of a product and the node behind it, if there is one.
Epilogue epilogue_of(std::span<const Operands> nodes) {
  const Operands &product = nodes.front(), &last = nodes.back();
  if (nodes.size() == 1) return {Epilogue::Kind::none, {}, product.result()};
  const auto kind = last.node().op == Op::add ? Epilogue::Kind::add : Epilogue::Kind::silu_mul;
  const bool sum_is_second = last.node().in[1] == product.node().out[0];
  return {kind, last.range(sum_is_second ? 0 : 1), last.result()};
}

}  // namespace

void record_step(const CompileContext& program, const abi::Claim& step, Recorder& recorder) {
  CompileContext context = program;
  context.places = places_of(program, step);
  std::vector<Operands> nodes;
  for (const uint32_t n : step.nodes) nodes.emplace_back(context, context.graph.nodes[n]);
  const auto op = [&](size_t i) { return nodes[i].node().op; };
  const size_t count = nodes.size();
  if (count == 1) return record_node(nodes[0], recorder);
  if (op(0) == Op::attention)
    return attention_product(nodes[0], nodes[1], epilogue_of(std::span(nodes).subspan(1)),
                             recorder);
  if (count == 2 && op(0) == Op::matmul) return matmul(nodes[0], epilogue_of(nodes), recorder);
  if (count == 3 && op(0) == Op::rope)
    return kv_append(nodes[2], {nodes[0].range(0), nodes[1].range(0), nodes[2].range(1), &nodes[0]},
                     recorder);
  if (count < 3) throw abi::Failure(abi::StatusCode::unsupported, "a step that was never claimed");
  record_products(nodes, recorder);
}

uint64_t between_workspace(const abi::Graph& graph, const abi::Claim& step,
                           const abi::ProgramShape& shape) {
  uint64_t bytes = 0;
  for (const uint32_t tensor : values_between(graph, step))
    bytes += bytes_of(graph.tensors[tensor], shape);
  return bytes;
}

uint32_t rows_per_dispatch(double affordable, uint32_t tile_rows) {
  const double tiles = std::clamp(affordable / tile_rows, 1.0, 512.0);
  return static_cast<uint32_t>(tiles) * tile_rows;
}

}  // namespace ropewalk::vulkan
