// scalars.h — typed readings of a scalar, without YAML's coercions.
//
// `no` is not false, 0o17 and 1e3 are not integers, .inf is refused, and text that other YAML
// readers take for a boolean, a number or null must be quoted. Each function gives the value or
// nothing; the caller knows the key and words the error with describe().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/config/value.h"

namespace ropewalk {

std::optional<bool> as_boolean(const ConfigValue& value);       // true, false
std::optional<int64_t> as_integer(const ConfigValue& value);    // -?[0-9]+
std::optional<uint64_t> as_unsigned(const ConfigValue& value);  // [0-9]+
std::optional<double> as_number(const ConfigValue& value);      // finite, decimal
std::optional<std::string> as_text(const ConfigValue& value);   // quoted, or clearly text

// What was found, for a message: `"many"`, `a list`, `nothing`, `-1`.
std::string describe(const ConfigValue& value);

// "found X, expected Y".
std::string mismatch(const ConfigValue& value, std::string_view expected);

}  // namespace ropewalk
