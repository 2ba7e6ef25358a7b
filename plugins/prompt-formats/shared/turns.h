// turns.h — the order of the roles in a conversation.
#pragma once

#include <string>

#include "core/abi/prompt_format.h"

namespace ropewalk::formats {

// How many system messages come first, 0 or 1. Throws Failure naming the first message whose role
// is out of order: user and assistant alternate, and the user begins.
inline size_t check_turns(std::span<const abi::Message> messages) {
  const size_t first = !messages.empty() && messages[0].role == abi::Role::system ? 1 : 0;
  for (size_t i = first; i < messages.size(); ++i) {
    const bool users = (i - first) % 2 == 0;
    if (messages[i].role == (users ? abi::Role::user : abi::Role::assistant)) continue;
    throw abi::Failure(abi::StatusCode::invalid_argument,
                       "message " + std::to_string(i + 1) + " is not the " +
                           (users ? "user's" : "assistant's") + ", whose turn it is");
  }
  return first;
}

// Whether the assistant is to go on after `messages`, which check_turns() has passed.
inline bool awaits_reply(std::span<const abi::Message> messages) {
  return !messages.empty() && messages.back().role == abi::Role::user;
}

}  // namespace ropewalk::formats
