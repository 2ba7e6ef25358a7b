#include "backends/cuda/program/claim.h"

#include <string_view>

#include "backends/cuda/ops/ops.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;
using abi::TensorKind;

std::string_view refusal(const abi::Tensor& tensor) {
  if (tensor.kind == TensorKind::scratch && tensor.dtype != DType::f32)
    return "an activation that is not f32";
  if (tensor.kind != TensorKind::cache) return "";
  if (tensor.dtype != DType::f16 && tensor.dtype != DType::i8)
    return "a cache that is not f16 or int8";
  return tensor.dim[3] > kMaxHeadDim ? "a head dimension above 256" : "";
}

}  // namespace

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink) {
  abi::claim_alone(graph, sink, {refusal, nullptr});
}

}  // namespace ropewalk::cuda
