// yaml.h — YAML text as a ConfigValue tree; the only file behind which yaml-cpp is used.
//
// Only the part of YAML that a configuration needs: one document, plain maps, lists and scalars.
// Anchors, aliases, tags and merge keys are refused, because with them a small file can expand into
// a large one.
#pragma once

#include <string>
#include <string_view>

#include "core/config/value.h"

namespace ropewalk {

inline constexpr size_t kMaxConfigDepth = 64;
inline constexpr size_t kMaxConfigValues = 10000;

// `name` is the file's name in every Where and message. Throws Error(usage) with line and column:
// not UTF-8, control bytes, bad syntax, a second document, duplicate keys, nested deeper than
// kMaxConfigDepth, more values than kMaxConfigValues.
ConfigValue parse_yaml(std::string_view text, const std::string& name);

}  // namespace ropewalk
