#include "core/text/added_tokens.h"

#include "core/base/utf8.h"

namespace ropewalk {
namespace {

// Bytes of the white space that `text` begins with, as Python's str.strip() sees it; 0: none.
size_t space_length(std::string_view text) {
  if (!text.empty() && text[0] >= 0x1c && text[0] <= 0x1f) return 1;
  return utf8_white_space_length(text);
}

void strip_left(std::string& text) {
  size_t start = 0;
  while (const size_t length = space_length(std::string_view(text).substr(start))) start += length;
  text.erase(0, start);
}

void strip_right(std::string& text) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) --start;
    if (space_length(std::string_view(text).substr(start, end - start)) != end - start) break;
    end = start;
  }
  text.resize(end);
}

std::vector<std::string> names_of(const std::vector<AddedToken>& tokens) {
  std::vector<std::string> names;
  for (const AddedToken& token : tokens) names.push_back(token.name);
  return names;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), matcher_(names_of(tokens_)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    by_name_.emplace(tokens_[i].name, i);
    by_id_.emplace(tokens_[i].id, i);
  }
}

const AddedToken* AddedTokens::find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find_id(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

std::vector<Segment> AddedTokens::split(std::string_view text) const {
  std::vector<Segment> segments;
  size_t start = 0;
  const auto plain_up_to = [&](size_t end) {
    if (end > start) segments.push_back({.text = std::string(text.substr(start, end - start))});
  };
  for (auto match = matcher_.find(text, 0); match.name != NameMatcher::kNone;
       match = matcher_.find(text, start)) {
    plain_up_to(match.begin);
    segments.push_back({.text = tokens_[match.name].name, .token = &tokens_[match.name]});
    start = match.end;
  }
  plain_up_to(text.size());
  return segments;
}

void apply_token_flags(std::vector<Segment>& segments) {
  for (size_t i = 0; i < segments.size(); ++i) {
    const AddedToken* token = segments[i].token;
    if (!token) continue;
    Segment* left = i > 0 ? &segments[i - 1] : nullptr;
    Segment* right = i + 1 < segments.size() ? &segments[i + 1] : nullptr;
    if (right && !right->token && token->strips_right) strip_left(right->text);
    if (left && !left->token && token->strips_left) strip_right(left->text);
    if (!token->single_word) continue;
    if (left && !left->text.empty() && left->text.back() != ' ') {
      left->text += token->name;
      left->token = nullptr;
      segments[i] = {};
    } else if (right && !right->text.empty() && right->text.front() != ' ') {
      right->text = token->name + right->text;
      right->token = nullptr;
      segments[i] = {};
    }
  }
}

}  // namespace ropewalk
