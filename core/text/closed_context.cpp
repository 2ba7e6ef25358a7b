#include "core/text/closed_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"

namespace ropewalk {
namespace {

constexpr std::array<std::string_view, 6> kDelimiters = {
    "BEGININPUT", "BEGINCONTEXT", "ENDCONTEXT", "ENDINPUT", "BEGININSTRUCTION", "ENDINSTRUCTION"};
constexpr std::string_view kWhiteSpace = " \t\r\n";

[[noreturn]] void refuse_delimiter(std::string_view word, std::string_view where) {
  throw Error(ExitCode::usage, where,
              fmt::format("found {}, which would end or open a block of the prompt", word),
              "Write that word otherwise");
}

// Text of several lines: the line is named.
void refuse_delimiters(std::string_view text, std::string_view where) {
  for (const std::string_view word : kDelimiters) {
    const size_t at = text.find(word);
    if (at == std::string_view::npos) continue;
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
    refuse_delimiter(word, fmt::format("{}:{}", where, line));
  }
}

void refuse_metadata(const ContextInput& input, std::string_view what) {
  throw Error(ExitCode::usage, input.where, fmt::format("metadata: {}", what),
              "Write key=value, on one line");
}

std::string metadata_line(const ContextInput& input, const ContextEntry& entry) {
  if (entry.key.empty()) refuse_metadata(input, "found a value without a key");
  if (entry.key.find(':') != std::string::npos)
    refuse_metadata(
        input, fmt::format("found the key {}, expected none with a colon", printable(entry.key)));
  if ((entry.key + entry.value).find_first_of("\r\n") != std::string::npos)
    refuse_metadata(input, fmt::format("{} has a line end in it", printable(entry.key)));
  const std::string line = fmt::format("{}: {}\n", entry.key, entry.value);
  for (const std::string_view word : kDelimiters)
    if (line.find(word) != std::string::npos)
      refuse_delimiter(word, fmt::format("{}: metadata {}", input.where, printable(entry.key)));
  return line;
}

// A file's text without its last line end, which is not part of what it says.
std::string_view without_last_line_end(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

std::string input_block(const ContextInput& input) {
  refuse_delimiters(input.text, input.where);
  if (input.text.find_first_not_of(kWhiteSpace) == std::string::npos)
    throw Error(ExitCode::usage, input.where, "is empty, expected a text to answer from", "");
  std::string block = "BEGININPUT\nBEGINCONTEXT\n";
  for (const ContextEntry& entry : input.metadata) block += metadata_line(input, entry);
  block += "ENDCONTEXT\n";
  block += without_last_line_end(input.text);
  return block + "\nENDINPUT\n";
}

}  // namespace

std::string closed_context_prompt(std::span<const ContextInput> inputs,
                                  std::span<const std::string> instructions) {
  if (inputs.empty() || instructions.empty())
    throw Error(ExitCode::usage, "prompt",
                inputs.empty() ? "found an instruction without an input to answer from"
                               : "found inputs without an instruction",
                "Give both: --input FILE and --instruction TEXT");
  std::string prompt;
  for (const ContextInput& input : inputs) prompt += input_block(input);
  prompt += "BEGININSTRUCTION\n";
  for (const std::string& instruction : instructions) {
    refuse_delimiters(instruction, "instruction");
    if (instruction.find_first_not_of(kWhiteSpace) == std::string::npos)
      throw Error(ExitCode::usage, "instruction", "is empty, expected a question or a task", "");
    prompt += without_last_line_end(instruction);
    prompt += "\n";
  }
  return prompt + "ENDINSTRUCTION\n";
}

std::string plain_instruction(std::string_view instruction) {
  const size_t first = std::min(instruction.find_first_not_of(kWhiteSpace), instruction.size());
  const size_t end = instruction.find_last_not_of(kWhiteSpace) + 1;
  return std::string(instruction.substr(first, end - std::min(first, end))) + " PLAINFORMAT";
}

}  // namespace ropewalk
