// merge.h — one configuration out of several: the base files of `extends` and the command line's
// --set. Values keep the place where they were written.
#pragma once

#include <span>
#include <string>

#include "core/config/config.h"
#include "core/config/value.h"

namespace ropewalk {

inline constexpr size_t kMaxBases = 8;  // files that extend one another

// `over` takes precedence: maps are merged key by key, anything else is replaced. A block that
// names its plugin (backend, rope) replaces the base's block; one without a name adds options to
// it. A map over a list of samplers changes the samplers that it names and keeps the order.
ConfigValue merge(ConfigValue base, ConfigValue over);

// The tree of `text` (the content of `file`) merged over the files it extends, without the key
// `extends`. Throws Error(usage): a cycle, more than kMaxBases files, and what reading any of them
// throws.
ConfigValue read_with_bases(std::string_view text, const ConfigSource& source);

// Applies "key.path=value" in order; the value is YAML. Throws Error(usage, "--set key.path").
void apply_overrides(ConfigValue& tree, std::span<const std::string> overrides);

}  // namespace ropewalk
