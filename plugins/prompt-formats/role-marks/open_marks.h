// open_marks.h — only a reply ends in a mark, EOS (Tulu 3, Falcon 3):
//
//   <|user|>\nhi\n<|assistant|>\nhello</s>\n
#pragma once

#include "plugins/prompt-formats/shared/blocks.h"

namespace ropewalk::formats {

constexpr Blocks open_marks(std::string_view front, std::span<const std::string_view> stops) {
  return {.front = front,
          .message = "<|{role}|>\n{content}\n",
          .assistant = "<|{role}|>\n{content}</s>\n",
          .stops = stops};
}

}  // namespace ropewalk::formats
