// template.h — the token that tokenizer.json's post_processor puts in front of a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json/json_fwd.h"

namespace ropewalk {

struct TemplateToken {
  std::string name;
  int32_t id;
};

// nullopt: none. Takes null, ByteLevel (which moves offsets only), one TemplateProcessing, and
// Sequences of them. Throws Error (model) for any other, for more than one token in front, and for
// one that the template's own list lacks. What is put behind a text is left out, with a note under
// --verbose: a text that goes on has no end.
std::optional<TemplateToken> read_template(const Json& post_processor, const JsonSource& source);

}  // namespace ropewalk
