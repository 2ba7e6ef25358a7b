// component.h — reading the parts of tokenizer.json that are named by a "type".
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/json/json_fwd.h"

namespace ropewalk {

// Calls `take(type, fields)` for the component, or in order for each of a Sequence, which may nest;
// for null not at all. `list` is the key of a Sequence's components. Throws Error (model): not an
// object, no type, a Sequence deeper than 8.
void for_each_component(
    const Json& component, const JsonSource& source, const std::string& path, std::string_view list,
    const std::function<void(const std::string& type, const JsonFields& fields)>& take);

// For a type that is not among `known`, which is a list for people.
[[noreturn]] void refuse_component(const JsonFields& fields, const std::string& type,
                                   std::string_view known);

// {"String": "..."} or, where `regex` is asked for, {"Regex": "..."}.
struct PatternText {
  std::string text;
  bool regex;
};
PatternText read_pattern(const JsonFields& component);

// Where a Metaspace puts its character in front of a text that does not begin with it.
enum class PrependScheme { never, first, always };

struct MetaspaceText {
  std::string replacement;  // of spaces; one character
  PrependScheme scheme;
};
MetaspaceText read_metaspace(const JsonFields& component);

bool read_flag(const JsonFields& fields, std::string_view key, bool absent);

}  // namespace ropewalk
