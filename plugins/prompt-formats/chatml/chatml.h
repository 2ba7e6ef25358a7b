// chatml.h — ChatML's marks, for models that were trained on it:
//
//   <|im_start|>user\nhi<|im_end|>\n
#pragma once

#include "plugins/prompt-formats/shared/blocks.h"

namespace ropewalk::formats {

inline constexpr std::string_view kChatmlStart = "<|im_start|>", kChatmlEnd = "<|im_end|>";
inline constexpr std::string_view kChatmlMessage = "<|im_start|>{role}\n{content}<|im_end|>\n";
inline constexpr std::string_view kChatmlTokens[] = {"<|im_start|>", "<|im_end|>"};
inline constexpr std::string_view kChatmlThinkingTokens[] = {"<|im_start|>", "<|im_end|>",
                                                             "<think>", "</think>"};
inline constexpr std::string_view kChatmlStops[] = {"<|im_end|>", "<|im_start|>", "<|endoftext|>"};

// A model that differs only in the system text that it has of its own.
constexpr Blocks chatml(std::string_view default_system) {
  return {.message = kChatmlMessage,
          .default_system = default_system,
          .tokens = kChatmlTokens,
          .stops = kChatmlStops};
}

// The message's marks, where a format of its own writes them around a content.
inline void open_chatml(std::string_view role, abi::PieceSink& sink) {
  sink.added_token(kChatmlStart);
  sink.text(role);
  sink.text("\n");
}
inline void close_chatml(abi::PieceSink& sink) {
  sink.added_token(kChatmlEnd);
  sink.text("\n");
}

}  // namespace ropewalk::formats
