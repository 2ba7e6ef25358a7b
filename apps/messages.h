// messages.h — conversations as JSON: what `render` reads and what `chat` saves.
//
//   [{"role": "system|user|assistant", "content": "..."}, ...]
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/engine/engine.h"
#include "core/json/json.h"
#include "core/text/prompt.h"

namespace ropewalk {

// Throws Error(usage) with file and field: not such a list, more than 100,000 messages.
std::vector<ChatMessage> parse_messages(std::string_view text, const std::string& file);
Json messages_json(const std::vector<ChatMessage>& messages);

// The messages with the configured system message in front, where they have none.
std::vector<ChatMessage> with_system(const TextSide& text, const Config& config,
                                     std::vector<ChatMessage> messages);

}  // namespace ropewalk
