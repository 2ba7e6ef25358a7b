// foreign_names.h — what other programs call the keys of our configuration.
#pragma once

#include <string>
#include <string_view>

namespace ropewalk {

// The path of the key that `name` means to users of other programs ("max_tokens", "n_ctx",
// "rope_scaling"), or that ends in it ("seed": generation.seed); - and _ are the same. Samplers are
// sampling.NAME. Empty: no such name is known.
std::string key_meant_by(std::string_view name);

// The same for an option of the command line: "--top-p".
std::string key_of_option(std::string_view option);

// What to do instead of an option of other programs that stands for no key ("-ngl"); "" for others.
std::string_view advice_on_option(std::string_view option);

// The same for a command of other programs ("pull", "generate").
std::string_view advice_on_command(std::string_view command);

}  // namespace ropewalk
