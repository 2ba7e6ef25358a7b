// llama_3.h — the marks of Llama 3 and its successors, which differ in the system block and in the
// roles' names:
//
//   <|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>
//
// Contents are trimmed.
#pragma once

#include "plugins/prompt-formats/shared/blocks.h"

namespace ropewalk::formats {

inline constexpr std::string_view kLlama3Tokens[] = {"<|start_header_id|>", "<|end_header_id|>",
                                                     "<|eot_id|>"};
inline constexpr std::string_view kLlama3Stops[] = {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"};

constexpr Blocks llama_3(RoleNames roles) {
  return {
      .front = "<s>",
      .message = "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
      .roles = roles,
      .tokens = kLlama3Tokens,
      .stops = kLlama3Stops,
      .contents = Contents::trimmed,
  };
}

}  // namespace ropewalk::formats
