// plugin_manual.h — a module as people read it: on the terminal, and as docs/plugins.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/modules/registry.h"

namespace ropewalk {

// "boolean", "integer", ...
std::string_view option_type_name(abi::OptionType type);
// As one would write it in YAML; empty where there is none.
std::string option_default(const OptionDescription& option);

std::string manual(const ModuleListing& listing);

// docs/plugins.md: every plugin that was accepted, a section for each kind. Backends have no place
// in it, because which of them are built depends on the machine.
std::string markdown_manual(const std::vector<ModuleListing>& listings);

}  // namespace ropewalk
