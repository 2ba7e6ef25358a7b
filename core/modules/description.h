// description.h — what a library says about itself, as owned strings that outlive a probe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/plugin.h"

namespace ropewalk {

inline constexpr uint32_t kMaxOptions = 256;  // of a module

struct OptionDescription {
  std::string name;
  abi::OptionType type;
  std::optional<std::string> default_value;
  std::string help;
  double minimum;
  double maximum;
};

struct ModuleDescription {
  abi::ModuleKind kind;
  std::string name, version, help, source;
  std::vector<OptionDescription> options;
};

// Copies a declaration. Throws Error(plugin, where) for: a null or empty name, version or help, no
// create(), more than kMaxOptions options, control bytes, an option without a name, of unknown type
// or declared twice, a default that its own type or range refuses. A dangling pointer crashes, so
// strangers are described in a probe child first.
ModuleDescription describe_module(const abi::Module& module, std::string_view where);

std::string_view kind_name(abi::ModuleKind kind);    // "sampler"
std::string_view kind_folder(abi::ModuleKind kind);  // "samplers"
std::string_view type_name(abi::OptionType type);    // "a number"

}  // namespace ropewalk
