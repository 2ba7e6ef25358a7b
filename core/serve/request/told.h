// told.h — what the client is told beside the answer: fields that had no effect, values that were
// changed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::serve {

struct Told {
  std::vector<std::string> ignored = {};   // names of fields
  std::vector<std::string> clipped = {};   // "max_tokens: 900 became 412"
  std::vector<std::string> warnings = {};  // sentences
  uint32_t dropped_messages = 0;           // of a conversation that outgrew the context
};

}  // namespace ropewalk::serve
