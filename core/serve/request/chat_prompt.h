// chat_prompt.h — messages in the configured format as the ids that the model reads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/config/config.h"
#include "core/serve/request/served_model.h"
#include "core/text/prompt.h"
#include "core/text/stream.h"

namespace ropewalk::serve {

struct ChatPrompt {
  std::vector<PromptPiece> pieces;
  std::vector<int32_t> ids;
  LeadingSpace leading_space = LeadingSpace::strip;
  uint32_t dropped_messages = 0;
};

enum class LastMessage { answered, continued };

struct ChatRules {
  LastMessage last = LastMessage::answered;
  // What a prompt that is too long becomes: refused by whoever counts its ids, or without its
  // oldest turns.
  Truncate truncate = Truncate::refuse;
  uint32_t room = 1;  // tokens of the context that the reply needs
};

// With the configured system message in front, where there is none. Throws ApiError 400 where the
// format cannot take the messages.
ChatPrompt chat_prompt(const ServedModel& model, std::vector<ChatMessage> messages,
                       const ChatRules& rules);

}  // namespace ropewalk::serve
