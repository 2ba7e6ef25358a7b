// options.h — checks the configured options of a plugin against its declaration.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/abi/options.h"
#include "core/config/config.h"
#include "core/modules/description.h"

namespace ropewalk {

// Options in the order declared, every default filled in; absent ones without a default are left
// out. Owns the text.
struct ResolvedOptions {
  std::vector<std::pair<std::string, std::string>> values;

  // Views into this object, for abi::CreateInfo. REQUIRES: this outlives what is returned.
  std::vector<abi::OptionValue> view() const;
};

// Throws Error(usage) with FILE:LINE:COL, the key and the plugin's name: unknown option (with the
// nearest), wrong type, out of range, given twice.
ResolvedOptions resolve_options(const ModuleDescription& plugin, const PluginChoice& choice);

}  // namespace ropewalk
