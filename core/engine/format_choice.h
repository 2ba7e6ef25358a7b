// format_choice.h — which prompt format a run uses: the one that prompt.format names, else the one
// that writes what the chat template of the model's folder writes, else raw.
//
// A template is known by its hash or not at all. A guess by its words would be wrong in silence.
#pragma once

#include <string>
#include <string_view>

#include "core/config/config.h"

namespace ropewalk {

// SHA-256 of a template as editors leave it: ends of lines are LF, blanks at the ends of lines and
// of the text are cut.
std::string template_hash(std::string_view chat_template);

enum class FormatSource {
  configuration,     // prompt.format names it
  chat_template,     // a known one
  unknown_template,  // raw, as no format is known for the model's chat template
  nothing,           // raw, as the model has no chat template
};

struct FormatChoice {
  PluginChoice plugin = {.name = "raw", .key = "prompt.format"};
  FormatSource source = FormatSource::nothing;
  // "a.yaml:3:11", "the chat template of tokenizer_config.json", or why that cannot be read
  std::string from = {};
  std::string hash = {};  // of an unknown template; empty: it cannot be read
};

// Throws Error (usage) where prompt.format is `auto` and the folder has no chat template or one
// that no format is known to write, with the template's hash; (model) where it cannot be read then.
FormatChoice choose_format(const Config& config);

// Where the configuration names no format: a note which one the chat template chose, or a warning
// that it is not known and how to name a format.
void tell_of_format(const FormatChoice& choice);

// Why it was chosen: `from`, or why it is only raw.
std::string reason_of(const FormatChoice& choice);

}  // namespace ropewalk
