#include "apps/quantize/calibration_adapter.h"

#include <algorithm>

#include "apps/quantize/source_digest.h"
#include "core/adapter/run_time.h"

namespace ropewalk {

CalibrationAdapter calibration_adapter(const Config& config, const Checkpoint& base,
                                       const std::function<void()>& tick) {
  const auto choice = std::ranges::find(config.adapters, config.adapter, &AdapterChoice::name);
  if (choice == config.adapters.end()) return {};
  auto adapter = std::make_unique<Adapter>(choice->path);
  check_for_run(*adapter, choice->scale, base);
  Json facts = {{"sha256", adapter_digest(*adapter, tick)}, {"scale", choice->scale}};
  return {choice->name, std::move(adapter), choice->scale, std::move(facts)};
}

}  // namespace ropewalk
