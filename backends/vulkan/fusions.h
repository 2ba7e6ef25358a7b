// fusions.h — runs of nodes that this backend executes as one step, and how each is recorded.
//
// Each is found by its pattern in the graph and offered only where the core could take it: nobody
// but its own nodes reads what it would not write.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backends/vulkan/ops/ops.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

// matmul + add           the residual is added before the sum is stored
// matmul + silu_mul      the same with silu(gate) * up, the matmul being up's
// rope + rope + kv_append  queries and keys are rotated on their way
struct Fusion {
  std::vector<uint32_t> nodes;
  uint32_t hidden;
  float gain_us;
};

std::vector<Fusion> find_fusions(const abi::Graph& graph);

// One claimed step: a node or a fusion. Throws Failure (unsupported) for nodes that are neither.
void record_step(const Surroundings& around, std::span<const uint32_t> nodes, Recorder& recorder);

}  // namespace ropewalk::vulkan
