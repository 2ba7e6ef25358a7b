// question.h — what `run` is asked: a text, ids, or texts to answer from with instructions.
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

// Reads what the arguments name, standard input where they name nothing and it is no terminal.
// Throws Error(usage) with the file and what is wrong there.
Question read_question(const RunArguments& arguments);

}  // namespace ropewalk
