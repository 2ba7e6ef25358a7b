#include "core/text/added_tokens.h"

#include <algorithm>

#include "core/base/utf8.h"

namespace ropewalk {
namespace {

// Bytes of the white space that `text` begins with, as Python's str.strip() sees it; 0: none.
size_t space_length(std::string_view text) {
  static constexpr std::string_view kWide[] = {
      "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
      "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
      "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
      "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
  if (text.empty()) return 0;
  const char c = text[0];
  if (c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f)) return 1;
  for (const std::string_view wide : kWide)
    if (text.starts_with(wide)) return wide.size();
  return 0;
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

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.name.size() > b.name.size();
  });
  for (size_t i = 0; i < tokens_.size(); ++i) {
    by_name_.emplace(tokens_[i].name, i);
    by_id_.emplace(tokens_[i].id, i);
    if (!tokens_[i].name.empty())
      by_first_byte_[static_cast<unsigned char>(tokens_[i].name[0])].push_back(i);
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

const AddedToken* AddedTokens::match(std::string_view text) const {
  for (const size_t i : by_first_byte_[static_cast<unsigned char>(text[0])])
    if (text.starts_with(tokens_[i].name)) return &tokens_[i];
  return nullptr;
}

std::vector<Segment> AddedTokens::split(std::string_view text) const {
  std::vector<Segment> segments;
  size_t start = 0;
  const auto plain_up_to = [&](size_t end) {
    if (end > start) segments.push_back({.text = std::string(text.substr(start, end - start))});
  };
  for (size_t i = 0; i < text.size();) {
    const AddedToken* token = match(text.substr(i));
    if (!token) {
      ++i;
      continue;
    }
    plain_up_to(i);
    segments.push_back({.text = token->name, .token = token});
    i += token->name.size();
    start = i;
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
