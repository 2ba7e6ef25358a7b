// added_matcher.h — finds added tokens in a text as tokenizers does (src/tokenizer/
// added_vocabulary.rs).
//
// Const after construction and then safe to share between threads.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/name_matcher.h"
#include "core/tokenizer_json/added_token.h"

namespace ropewalk {

// A stretch of a text: plain, or a token with the white space that it swallowed.
struct CutPart {
  std::string_view text;
  const AddedToken* token = nullptr;  // nullptr: plain
};

class AddedMatcher {
 public:
  // names[i] is what tokens[i] looks like in the text. REQUIRES: the tokens outlive this.
  AddedMatcher(std::vector<const AddedToken*> tokens, const std::vector<std::string>& names);

  // Cuts `text` at the tokens in it, the leftmost first, of several that begin there the longest.
  // Where `skip(token)` says so its name is plain text, and no other token is found within it.
  // REQUIRES: `text` is UTF-8.
  template <class Skip>
  std::vector<CutPart> cut(std::string_view text, const Skip& skip) const;

 private:
  static bool is_within_word(std::string_view text, const NameMatcher::Match& match);

  std::vector<const AddedToken*> tokens_;
  NameMatcher names_;
};

// `text` without the white space at its end or beginning.
std::string_view without_space_behind(std::string_view text);
std::string_view without_space_in_front(std::string_view text);

template <class Skip>
std::vector<CutPart> AddedMatcher::cut(std::string_view text, const Skip& skip) const {
  std::vector<CutPart> parts;
  size_t done = 0;
  for (auto match = names_.find(text, 0); match.name != NameMatcher::kNone;
       match = names_.find(text, match.end)) {
    const AddedToken& token = *tokens_[match.name];
    if (skip(token) || (token.single_word && is_within_word(text, match))) continue;
    size_t begin = match.begin, end = match.end;
    // The token before may have swallowed white space, or a whole name, up to beyond this.
    if (token.strips_left)
      begin = std::max(without_space_behind(text.substr(0, begin)).size(), done);
    if (token.strips_right) end = text.size() - without_space_in_front(text.substr(end)).size();
    if (done < begin) parts.push_back({text.substr(done, begin - done)});
    parts.push_back({text.substr(begin, end - begin), &token});
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done)});
  return parts;
}

}  // namespace ropewalk
