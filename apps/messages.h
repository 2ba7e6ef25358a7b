// messages.h — conversations as JSON: what `render` reads and what `chat` saves.
//
//   [{"role": "system|user|assistant", "content": "..."}, ...]      a list of messages
//   {"ropewalk_chat": 1, "messages": [...]}                         a saved conversation
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/engine/engine.h"
#include "core/text/prompt.h"

namespace ropewalk {

// Both throw Error(usage) with file and field for anything else, and for more than 100,000
// messages.
std::vector<ChatMessage> parse_messages(std::string_view text, const std::string& file);
// At most one system message, which comes first; then user and assistant alternate, the assistant
// last. Throws for anything else.
std::vector<ChatMessage> parse_conversation(std::string_view text, const std::string& file);

std::string conversation_text(const std::vector<ChatMessage>& messages);

// The messages, preceded by the configured system message where they have none.
std::vector<ChatMessage> with_system(const TextSide& text, const Config& config,
                                     std::vector<ChatMessage> messages);

}  // namespace ropewalk
