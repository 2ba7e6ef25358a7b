#include "core/engine/run_adapters.h"

#include <algorithm>

#include "core/adapter/run_time.h"

namespace ropewalk {

std::vector<NamedAdapter> adapters_of(const Config& config, const Checkpoint& base) {
  std::vector<NamedAdapter> adapters;
  for (const AdapterChoice& choice : config.adapters)
    adapters.push_back({choice.name, open_for_run(choice.path, choice.scale, base)});
  return adapters;
}

std::optional<uint32_t> find_adapter(const Config& config, std::string_view name) {
  if (name == kNoAdapterName) return abi::kNoAdapter;
  const auto found = std::ranges::find(config.adapters, name, &AdapterChoice::name);
  if (found == config.adapters.end()) return std::nullopt;
  return static_cast<uint32_t>(found - config.adapters.begin());
}

}  // namespace ropewalk
