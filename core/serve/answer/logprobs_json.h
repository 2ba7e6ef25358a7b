// logprobs_json.h — log-probabilities in the two shapes that OpenAI's clients read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/generate/request.h"
#include "core/json/json_fwd.h"
#include "core/text/tokenizer.h"

namespace ropewalk::serve {

// How a token is written: its text, the name of a special one, `bytes:\xe2\x80` where its bytes
// alone are no UTF-8, or token_id:N.
enum class TokenNames { texts, ids };
std::string token_name(const Tokenizer& tokenizer, int32_t id, TokenNames names);

// Completions' shape: lists of equal length with an entry for each id.
//   {"tokens":[S],"token_logprobs":[N|null],"top_logprobs":[{S:N}|null],"text_offset":[I]}
// Offsets count characters of the choice's text, so one object serves all chunks of a choice.
class LegacyLogprobs {
 public:
  // `strip`: the space in front of the first token's text is not part of the text. REQUIRES: the
  // tokenizer outlives this.
  LegacyLogprobs(const Tokenizer& tokenizer, TokenNames names, LeadingSpace strip);

  Json take(std::span<const ScoredToken> tokens);

 private:
  Json alternatives(const ScoredToken& token) const;
  uint64_t characters(int32_t id);

  const Tokenizer& tokenizer_;
  const TokenNames names_;
  bool strip_;
  uint64_t offset_ = 0;
};

// Chat's shape: {"content":[{"token","logprob","bytes","top_logprobs":[...]}],"refusal":null}.
// Tokens without text, such as an end token, are left out.
Json chat_logprobs(const Tokenizer& tokenizer, std::span<const ScoredToken> tokens,
                   TokenNames names);

}  // namespace ropewalk::serve
