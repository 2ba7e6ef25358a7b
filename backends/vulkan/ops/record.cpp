// From a claimed step to its dispatches: the op of one node, or a fusion.
#include <algorithm>

#include "backends/vulkan/ops/ops.h"
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
      return kv_append(op, {}, recorder);
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

}  // namespace

void record_step(const CompileContext& context, std::span<const uint32_t> nodes,
                 Recorder& recorder) {
  const auto operands = [&](size_t i) { return Operands(context, context.graph.nodes[nodes[i]]); };
  const auto op = [&](size_t i) { return context.graph.nodes[nodes[i]].op; };
  if (nodes.size() == 1) return record_node(operands(0), recorder);
  if (nodes.size() == 3 && op(2) == Op::silu_mul)
    return gated_matmul(operands(0), operands(1), operands(2), recorder);
  if (nodes.size() == 3 && op(2) == Op::kv_append) {
    const Operands q = operands(0), k = operands(1);
    return kv_append(operands(2), {&q, &k}, recorder);
  }
  if (nodes.size() != 2 || op(0) != Op::matmul)
    throw abi::Failure(abi::StatusCode::unsupported, "a step that was never claimed");
  const Operands product = operands(0), last = operands(1);
  const auto kind = op(1) == Op::add ? Epilogue::Kind::add : Epilogue::Kind::silu_mul;
  const bool sum_is_second = last.node().in[1] == product.node().out[0];
  matmul(product, {kind, last.range(sum_is_second ? 0 : 1), last.result()}, recorder);
}

uint32_t rows_per_dispatch(double affordable, uint32_t tile_rows) {
  const double tiles = std::clamp(affordable / tile_rows, 1.0, 512.0);
  return static_cast<uint32_t>(tiles) * tile_rows;
}

}  // namespace ropewalk::vulkan
