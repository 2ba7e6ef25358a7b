#include "core/serve/answer/logprobs_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/utf8.h"
#include "core/json/json.h"

namespace ropewalk::serve {
namespace {

// A logit may lie so far below that its share is 0; JSON has no infinity.
constexpr double kMinLogprob = -9999;

double finite(double logprob) { return std::max(logprob, kMinLogprob); }

Json entry(const Tokenizer& tokenizer, int32_t id, double logprob, TokenNames names) {
  Json bytes = Json::array();
  for (const char byte : tokenizer.text_of(id).bytes) bytes.push_back(static_cast<uint8_t>(byte));
  return {{"token", token_name(tokenizer, id, names)},
          {"logprob", finite(logprob)},
          {"bytes", std::move(bytes)}};
}

}  // namespace

std::string token_name(const Tokenizer& tokenizer, int32_t id, TokenNames names) {
  if (names == TokenNames::ids) return fmt::format("token_id:{}", id);
  const std::string_view bytes = tokenizer.text_of(id).bytes;
  if (bytes.empty()) {
    const AddedToken* token = tokenizer.added().find_id(id);
    return token ? token->name : fmt::format("token_id:{}", id);
  }
  if (utf8_first_error(bytes) == std::string_view::npos) return std::string(bytes);
  std::string name = "bytes:";
  for (const char byte : bytes) name += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return name;
}

LegacyLogprobs::LegacyLogprobs(const Tokenizer& tokenizer, TokenNames names, LeadingSpace strip)
    : tokenizer_(tokenizer), names_(names), strip_(strip == LeadingSpace::strip) {}

uint64_t LegacyLogprobs::characters(int32_t id) {
  const TokenText text = tokenizer_.text_of(id);
  if (text.bytes.empty()) return 0;
  const bool strip = strip_ && text.spaced;
  strip_ = false;
  // Bytes that continue a character count with the byte that began it.
  const auto begins = [](char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; };
  return static_cast<uint64_t>(std::ranges::count_if(text.bytes, begins)) - (strip ? 1 : 0);
}

// Of two ids with one text the less likely is written token_id:N, as otherwise it would be lost.
Json LegacyLogprobs::alternatives(const ScoredToken& token) const {
  Json made = Json::object();
  const auto add = [&](int32_t id, double logprob) {
    std::string name = token_name(tokenizer_, id, names_);
    if (made.contains(name)) name = token_name(tokenizer_, id, TokenNames::ids);
    made[std::move(name)] = finite(logprob);
  };
  for (const IdLogprob& other : token.top) add(other.id, other.logprob);
  const auto same = [&](const IdLogprob& other) { return other.id == token.id; };
  if (std::ranges::none_of(token.top, same)) add(token.id, *token.logprob);
  return made;
}

Json LegacyLogprobs::take(std::span<const ScoredToken> tokens) {
  Json names = Json::array(), logprobs = Json::array(), top = Json::array(),
       offsets = Json::array();
  for (const ScoredToken& token : tokens) {
    names.push_back(token_name(tokenizer_, token.id, names_));
    logprobs.push_back(token.logprob ? Json(finite(*token.logprob)) : Json(nullptr));
    top.push_back(token.logprob ? alternatives(token) : Json(nullptr));
    offsets.push_back(offset_);
    offset_ += characters(token.id);
  }
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

Json chat_logprobs(const Tokenizer& tokenizer, std::span<const ScoredToken> tokens,
                   TokenNames names) {
  Json content = Json::array();
  for (const ScoredToken& token : tokens) {
    if (tokenizer.text_of(token.id).bytes.empty() || !token.logprob) continue;
    Json made = entry(tokenizer, token.id, *token.logprob, names);
    Json top = Json::array();
    for (const IdLogprob& other : token.top)
      top.push_back(entry(tokenizer, other.id, other.logprob, names));
    made["top_logprobs"] = std::move(top);
    content.push_back(std::move(made));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace ropewalk::serve
