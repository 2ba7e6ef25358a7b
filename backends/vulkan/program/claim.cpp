#include "backends/vulkan/program/claim.h"

#include <string_view>

#include "core/abi/kv_page.h"

namespace ropewalk::vulkan {
namespace {

using abi::DType;
using abi::TensorKind;

// Attention keeps a query in shared memory.
constexpr uint32_t kMaxHeadDim = 256;
// Shaders count a layer's cached words in 31 bits.
constexpr uint64_t kMaxCacheBytes = uint64_t{8} << 30;

std::string_view refusal(const abi::Tensor& tensor) {
  if (tensor.kind == TensorKind::scratch && tensor.dtype != DType::f32)
    return "an activation that is not f32";
  if (tensor.kind != TensorKind::cache) return "";
  // Rotation pairs whole words of the cache with whole words.
  if (tensor.dim[3] % (tensor.dtype == DType::i8 ? 8 : 4) != 0)
    return "a head dimension that is no multiple of 4, for an int8 cache of 8";
  if (tensor.dim[3] > kMaxHeadDim) return "a head dimension above 256";
  if (tensor.dim[0] > kMaxCacheBytes / kv_page_of(tensor).bytes())
    return "keys or values of more than 8 GiB a layer; lower context.length";
  return "";
}

}  // namespace

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink) {
  abi::claim_alone(graph, sink, {refusal, nullptr});
}

}  // namespace ropewalk::vulkan
