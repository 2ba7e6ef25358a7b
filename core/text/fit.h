// fit.h — a conversation cut down to what the context has room for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/abi/prompt_format.h"
#include "core/text/prompt.h"
#include "core/text/tokenizer.h"

namespace ropewalk {

// prompt.truncate, as this room sees it.
enum class FitMode {
  drop_oldest,  // the oldest question and answer go first; the system message stays
  refuse,
};

struct FitLimits {
  uint32_t max_prompt_tokens;
  FitMode mode;
};

struct FittedPrompt {
  std::vector<PromptPiece> pieces;
  std::vector<int32_t> ids;   // at most max_prompt_tokens
  uint32_t dropped_messages;  // how many of the oldest, not counting the system message
  uint32_t dropped_tokens;    // how many fewer the prompt has
};

// What is dropped are whole turns, so that the prompt always begins with a user's message. Throws
// Error (limit) with both numbers where the last turn alone is too long, or where anything is and
// the mode is refuse; Error (usage) where the format cannot take the messages.
FittedPrompt fit_messages(const Tokenizer& tokenizer, const abi::PromptFormat& format,
                          std::span<const ChatMessage> messages, const FitLimits& limits);

}  // namespace ropewalk
