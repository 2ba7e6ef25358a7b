#include "core/engine/run_adapters.h"

#include <algorithm>

#include "core/adapter/run_time.h"
#include "core/model/families.h"

namespace ropewalk {
namespace {

std::shared_ptr<const AdapterSource> open(const AdapterChoice& choice, const Checkpoint& base) {
  if (choice.base.empty()) return open_for_run(choice.path, choice.scale, base);
  const auto unquantised = Checkpoint::open(choice.base, config_families());
  return open_for_run(choice.path, choice.scale, base, unquantised.get());
}

}  // namespace

std::vector<NamedAdapter> adapters_of(const Config& config, const Checkpoint& base) {
  std::vector<NamedAdapter> adapters;
  for (const AdapterChoice& choice : config.adapters)
    adapters.push_back({choice.name, open(choice, base)});
  return adapters;
}

std::optional<uint32_t> find_adapter(const Config& config, std::string_view name) {
  if (name == kNoAdapterName) return abi::kNoAdapter;
  const auto found = std::ranges::find(config.adapters, name, &AdapterChoice::name);
  if (found == config.adapters.end()) return std::nullopt;
  return static_cast<uint32_t>(found - config.adapters.begin());
}

}  // namespace ropewalk
