// plugin_manual.h — the description of a module for people: on the terminal, and as
// docs/plugins.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/modules/registry.h"

namespace ropewalk {

// "boolean", "integer", ...
std::string_view option_type_name(abi::OptionType type);
// The default as written in YAML; empty where there is none.
std::string option_default(const OptionDescription& option);

std::string manual(const ModuleListing& listing);

// docs/plugins.md: every accepted plugin, a section for each kind. It leaves out backends, because
// the machine decides which are built.
std::string markdown_manual(const std::vector<ModuleListing>& listings);

}  // namespace ropewalk
