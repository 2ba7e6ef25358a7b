// messages.h — the messages of a chat completion as a conversation that a prompt format can take.
#pragma once

#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/json/json_fwd.h"
#include "core/serve/request/told.h"
#include "core/text/prompt.h"

namespace ropewalk::serve {

inline constexpr size_t kMaxMessages = 4096;

// An optional system message, then user and assistant in turn. What does not alternate is joined,
// with a warning, or refused where `turns` is strict. Throws ApiError 400 with the message's index.
std::vector<ChatMessage> read_messages(const Json& list, ChatTurns turns, Told& told);

}  // namespace ropewalk::serve
