// plugin_choice.h — reads the places of a configuration that name a plugin, and the same in a
// request to a server.
#pragma once

#include <string>
#include <vector>

#include "core/config/config.h"

namespace ropewalk {

// Each throws Error(usage) for a value of another shape than the key's type allows (keys.h).

// `cuda`, or {name: cuda, option: value, ...}; `selector` is the key that holds the name. A map
// without a name yields an empty one.
PluginChoice read_block(const ConfigValue& value, const std::string& key,
                        std::string_view selector);

// `top-p`, {top-p: 0.9}, or {top-p: {p: 0.9}}.
PluginChoice read_link(const ConfigValue& value, const std::string& key);

// A list of links, or a map of them: `sampling` written as changes, but without a base to change.
std::vector<PluginChoice> read_chain(const ConfigValue& value, const std::string& key);

}  // namespace ropewalk
