// closed_context.h — the prompt of a question that is to be answered from given texts alone, as
// Airoboros models were trained on it:
//
//   BEGININPUT
//   BEGINCONTEXT
//   url: https://web.site/123
//   ENDCONTEXT
//   the text
//   ENDINPUT
//   BEGININSTRUCTION
//   the question
//   ENDINSTRUCTION
//
// It ends with a newline, so that under Vicuna's format the prompt reads
// "ENDINSTRUCTION\n ASSISTANT:", as the models' cards show it. Source: jondurbin/airoboros,
// contextual prompts.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

struct ContextEntry {
  std::string key, value;
};

struct ContextInput {
  std::string where;                   // for messages: a file's name
  std::vector<ContextEntry> metadata;  // in order: url, date, author, ...
  std::string text;                    // its last line end may be missing
};

// Throws Error(usage) for a delimiter word in any of it, by name and place, because whoever wrote
// the text could otherwise close the block that it stands in; for a key with a colon, a line end in
// a key or value, and where inputs or instructions are missing or empty.
std::string closed_context_prompt(std::span<const ContextInput> inputs,
                                  std::span<const std::string> instructions);

// The instruction with PLAINFORMAT behind it, which asks for code without fences and explanations.
// Source: jondurbin/airoboros coding prompts.
std::string plain_instruction(std::string_view instruction);

}  // namespace ropewalk
