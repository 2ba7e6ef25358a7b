// memory_need.h — what a run would allocate and where, without allocating anything.
#pragma once

#include <cstdint>
#include <string>

#include "core/engine/runtime.h"

namespace ropewalk {

struct MemoryNeed {
  MemoryPlan plan;
  std::string device;  // "cpu: AMD EPYC 9654"
  uint64_t free = 0;   // bytes of its memory
  bool fits() const { return plan.total() <= free; }
};

// The plan of a Runtime with these arguments, on the device that it would take. No weight is read.
// Throws Error as Runtime does, but not where the model does not fit.
MemoryNeed plan_memory(Registry& registry, const WeightSource& weights,
                       const RuntimeSettings& settings);

}  // namespace ropewalk
