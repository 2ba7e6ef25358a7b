#include "backends/cpu/claim.h"

#include <string_view>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

using abi::DType;
using abi::TensorKind;

std::string_view refusal(const abi::Tensor& tensor) {
  if (tensor.kind == TensorKind::scratch && tensor.dtype != DType::f32)
    return "an activation that is not f32";
  // Activations of rank 3 are (R, heads, head_dim).
  const uint32_t head_dim = tensor.kind == TensorKind::cache                         ? tensor.dim[3]
                            : tensor.kind == TensorKind::scratch && tensor.rank == 3 ? tensor.dim[2]
                                                                                     : 0;
  return head_dim > kMaxHeadDim ? "a head dimension above 512" : "";
}

}  // namespace

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink) {
  abi::claim_alone(graph, sink, {refusal, nullptr});
}

}  // namespace ropewalk::cpu
