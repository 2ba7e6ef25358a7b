// phi.h — Phi's marks, which are added tokens: <|user|>hi<|end|>
#pragma once

#include "plugins/prompt-formats/shared/blocks.h"

namespace ropewalk::formats {

inline constexpr std::string_view kPhiTokens[] = {"<|system|>", "<|user|>", "<|assistant|>",
                                                  "<|end|>"};
inline constexpr std::string_view kPhiStops[] = {"<|end|>", "<|endoftext|>"};

constexpr Blocks phi(std::string_view message) {
  return {.message = message, .tokens = kPhiTokens, .stops = kPhiStops};
}

}  // namespace ropewalk::formats
