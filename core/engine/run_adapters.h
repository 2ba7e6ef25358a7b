// run_adapters.h — the adapters that a configuration names, for steps of its model.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/config/config.h"
#include "core/load/adapter_pool.h"

namespace ropewalk {

// In the order of config.adapters. Throws Error (model) for one that the base cannot run with, and
// for an unquantised model that cannot be read.
std::vector<NamedAdapter> adapters_of(const Config& config, const Checkpoint& base);

// The index of the adapter, as sequences name it; abi::kNoAdapter for `none`; nullopt: there is
// none of this name.
std::optional<uint32_t> find_adapter(const Config& config, std::string_view name);

}  // namespace ropewalk
