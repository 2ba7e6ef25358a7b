// format_choice.h — which prompt format `prompt.format: auto` is: the one that writes what the chat
// template of the model's folder writes.
//
// A template is known by its hash or not at all. A guess by its words would be wrong in silence.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/config/config.h"

namespace ropewalk {

// SHA-256 of a template as editors leave it: ends of lines are LF, blanks at the ends of lines and
// of the text are cut.
std::string template_hash(std::string_view chat_template);

// A template whose rendering a format equals.
struct KnownFormat {
  std::string_view hash;  // the first 16 digits of template_hash()
  std::string_view format;
  std::string_view option = "", value = "";
};
std::span<const KnownFormat> known_formats();

// config.prompt.format, or what `auto` stands for. Throws Error (exit code usage) where the folder
// has no chat template or one that no format is known to write, with the template's hash.
PluginChoice choose_format(const Config& config);

}  // namespace ropewalk
