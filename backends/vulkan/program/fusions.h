// fusions.h — runs of nodes that this backend executes as one step; ops/record.cpp records them.
//
// Each is found by its pattern in the graph and offered only where it is legal: no other node reads
// a value that it does not write.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/vulkan/device/features.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

// matmul + add                the residual is added before the sum is stored
// matmul + silu_mul           silu(gate) * sum is stored instead of the sum; the matmul is up's
// matmul + matmul + silu_mul  of one x and 4 bits, where there are integer dot products: an
//                             invocation has both sums of a column; programs of many rows compute
//                             one product after the other
// rope + rope + kv_append     kv_append rotates queries and keys
// matmul * 3 + the same       of one x and 4 bits, where there are integer dot products: from x to
//                             the cache in one dispatch; programs of many rows compute the products
//                             first
// rms_norm + either of these  of products: each workgroup normalises x itself, in programs of one
//                             row or two
//
// attention + matmul          of 4 bits, where the last workgroup of a head joins its splits: the
//                             product reads what attention stored in its own order; with the
//                             epilogue behind it, in programs of one row or two
//
// With batch_invariant products are not fused: in a step with adapters other nodes follow them.
struct Fusion {
  std::vector<uint32_t> nodes;
  std::vector<uint32_t> hidden;
  float gain_us;
};

std::vector<Fusion> find_fusions(const abi::Graph& graph, const Features& features);

// The hidden values of a step that are written where it becomes several dispatches. They have no
// memory of their own.
std::vector<uint32_t> values_between(const abi::Graph& graph, const abi::Claim& step);

}  // namespace ropewalk::vulkan
