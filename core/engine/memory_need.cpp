#include "core/engine/memory_need.h"

namespace ropewalk {

MemoryNeed plan_memory(Registry& registry, const WeightSource& weights,
                       const RuntimeSettings& settings) {
  struct Planned {
    MemoryNeed need;
  };
  RuntimeSettings planning = settings;
  planning.planned = [](const MemoryPlan& plan, const OpenDevice& device) {
    throw Planned{{plan, device.name(), device.device->info().memory_free}};
  };
  try {
    const Runtime never(registry, weights, planning);
  } catch (const Planned& planned) {
    return planned.need;
  }
  return {};  // a Runtime always plans
}

}  // namespace ropewalk
