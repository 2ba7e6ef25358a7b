// question.h — the prompt of `run`: a text, ids, or input texts with instructions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/commands.h"

namespace ropewalk {

struct Question {
  std::string text;          // the user's message
  std::vector<int32_t> ids;  // instead of it, where is_ids
  bool is_ids = false;
};

// Reads what the arguments name; without any, standard input, unless it is a terminal. Throws
// Error(usage) with the file and what is wrong there.
Question read_question(const RunArguments& arguments);

}  // namespace ropewalk
