// scratch_plan.h — where scratch tensors lie: offsets in one arena, shared by values that never
// live at the same time.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph/claims.h"
#include "core/graph/graph.h"

namespace ropewalk {

struct ScratchPlan {
  uint64_t bytes = 0;              // of the arena
  std::vector<abi::Slice> slices;  // by tensor, buffer 0; bytes 0: the tensor needs no scratch
};

// Places every scratch tensor that the steps write and do not hide. A value lives from the step
// that writes it to the last that reads it; outputs live to the end. Sizes are those of the widest
// program (`rows`, `wanted`), so one plan serves every row bucket.
ScratchPlan plan_scratch(const Graph& graph, const std::vector<OwnedClaim>& steps, uint32_t rows,
                         uint32_t wanted);

}  // namespace ropewalk
