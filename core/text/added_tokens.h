// added_tokens.h — the tokens beside a vocabulary: the special ones (<s>, </s>) and
// those that a fine-tune added. Finds them by name, by id and inside a text.
//
// Values only; const after construction and then safe to share between threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/name_matcher.h"
#include "core/tokenizer_json/added_token.h"

namespace ropewalk {

// One stretch of a text: either plain text, or a token that was recognised by its name.
struct Segment {
  std::string text;
  const AddedToken* token = nullptr;  // owned by the AddedTokens that made it; nullptr: plain text
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  const AddedToken* find(std::string_view name) const;  // nullptr: none
  const AddedToken* find_id(int32_t id) const;
  const std::vector<AddedToken>& all() const { return tokens_; }

  // `text` cut at the names in it: the leftmost first, of several that begin there the longest.
  std::vector<Segment> split(std::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;
  NameMatcher matcher_;
  std::unordered_map<std::string, size_t> by_name_;
  std::unordered_map<int32_t, size_t> by_id_;
};

// What the tokens' flags do to the plain text beside them (transformers'
// PreTrainedTokenizer.tokenize, src/transformers/tokenization_utils.py). Segments may come out
// empty.
void apply_token_flags(std::vector<Segment>& segments);

}  // namespace ropewalk
