// json.h — JSON as the core reads and writes it; the only room that includes nlohmann-json.
//
// Files come from strangers: parse_json() refuses what the library accepts silently (duplicate
// keys, trailing bytes, deep nesting, invalid UTF-8).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/json/json_fields.h"

namespace ropewalk {

// Throws Error with line and column: not UTF-8, not JSON, duplicate key, nested deeper than 64,
// bytes after the value; also for more than two million values. The caller limits the file's size.
Json parse_json(std::string_view text, const JsonSource& source);

// JSON Lines: calls take(document, source) for each line that is not blank, until it returns false.
// `source` names FILE:LINE. Throws as parse_json() does.
void for_each_json_line(std::string_view lines, const JsonSource& source,
                        const std::function<bool(const Json&, const JsonSource&)>& take);

}  // namespace ropewalk
