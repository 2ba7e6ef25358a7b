#include "core/load/memory_plan.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"

namespace ropewalk {

std::string describe(const MemoryPlan& plan, uint64_t free_bytes) {
  const std::string adapters =
      plan.adapters ? ", adapters " + format_bytes(plan.adapters) : std::string();
  return fmt::format("weights {}, cache {}, scratch {}, workspace {}{}: {} of {} free",
                     format_bytes(plan.weights), format_bytes(plan.cache),
                     format_bytes(plan.scratch), format_bytes(plan.workspace), adapters,
                     format_bytes(plan.total()), format_bytes(free_bytes));
}

void check_fits(const MemoryPlan& plan, uint64_t free_bytes, std::string_view device) {
  if (plan.total() <= free_bytes) return;
  const uint64_t fixed = plan.total() - plan.cache;
  const std::string advice =
      fixed < free_bytes
          ? fmt::format(
                "A context of about {:.0f} % of this length would fit: lower context.length, "
                "or set context.kv_cache to int8",
                100.0 * static_cast<double>(free_bytes - fixed) / static_cast<double>(plan.cache))
      : plan.adapters > 0 ? "Lower adapter_slots, or use a device with more memory"
                          : "Use a device with more memory or a model with fewer bits";
  throw Error(ExitCode::out_of_memory, device,
              "the model does not fit: " + describe(plan, free_bytes), advice);
}

}  // namespace ropewalk
