#include "core/tokenizer_json/added_matcher.h"

#include <utility>

#include "core/base/utf8.h"
#include "core/pattern/pattern.h"

namespace ropewalk {
namespace {

// The last character of a text that is not empty.
std::string_view last_character(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) --start;
  return text.substr(start);
}

bool is_word(std::string_view character) {
  const Pattern& word = Pattern::word_character();
  std::vector<TextRange> matches;
  word.find(with_stand_ins(character, word.stand_ins()),
            {0, static_cast<uint32_t>(character.size())}, matches);
  return !matches.empty();
}

}  // namespace

AddedMatcher::AddedMatcher(std::vector<const AddedToken*> tokens,
                           const std::vector<std::string>& names)
    : tokens_(std::move(tokens)), names_(names) {}

bool AddedMatcher::is_within_word(std::string_view text, const NameMatcher::Match& match) {
  const std::string_view before = text.substr(0, match.begin);
  const std::string_view behind = text.substr(match.end);
  return (!before.empty() && is_word(last_character(before))) ||
         (!behind.empty() && is_word(behind.substr(0, utf8_sequence_length(behind))));
}

std::string_view without_space_behind(std::string_view text) {
  while (!text.empty()) {
    const std::string_view last = last_character(text);
    if (utf8_white_space_length(last) != last.size()) break;
    text.remove_suffix(last.size());
  }
  return text;
}

std::string_view without_space_in_front(std::string_view text) {
  while (const size_t length = utf8_white_space_length(text)) text.remove_prefix(length);
  return text;
}

}  // namespace ropewalk
