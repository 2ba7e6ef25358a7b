// option_value.h — one option's value against its declaration. Private to core/modules.
#pragma once

#include <optional>
#include <string>

#include "core/config/value.h"
#include "core/modules/description.h"

namespace ropewalk {

// The text that crosses to the plugin (abi/options.h); nothing where type or range do not fit. A
// single value is taken for a list of one.
std::optional<std::string> encode_value(const OptionDescription& option, const ConfigValue& value);

// Whether the declared default is itself of the declared type and range. The items of a default
// list are separated by abi::kItemSeparator.
bool default_fits(const OptionDescription& option);

// "a number from 0 to 1", for messages.
std::string expected_value(const OptionDescription& option);

}  // namespace ropewalk
