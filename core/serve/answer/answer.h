// answer.h — what the whole answer and the chunks of a stream have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json/json_fwd.h"
#include "core/schedule/update.h"
#include "core/serve/request/ask.h"

namespace ropewalk::serve {

// Of one answer; the tokenizer outlives it.
struct AnswerFacts {
  std::string id;   // "cmpl-..." or "chatcmpl-..."
  int64_t created;  // Unix time, seconds
  std::string fingerprint;
  const Tokenizer& tokenizer;
};

struct Usage {
  uint64_t prompt_tokens = 0;
  uint64_t completion_tokens = 0;
  uint64_t cached_tokens = 0;  // of the prompts

  Json json() const;
};

// "stop" or "length", as OpenAI's clients know them.
std::string_view finish_reason(const Ending& ending);
// What ended the reply: a stop string, one of the request's stop ids, or null.
Json stop_reason(const Ending& ending, const Request& request);
// {"seeds":[...],"finish":[...],"ignored":[...], ...}
Json own_member(const Ask& ask, const std::vector<std::string>& finish);

// The text of a prompt, as `echo` repeats it.
std::string echo_text(const Tokenizer& tokenizer, const Prompt& prompt);

}  // namespace ropewalk::serve
