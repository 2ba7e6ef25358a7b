// stream_answer.h — an answer as a stream of events (text/event-stream), to the byte.
//
//   : ropewalk                                        at once
//   data: {... "delta":{"role":"assistant",...} ...}  chat: for each choice
//   data: {... "delta":{"content":"Hel"} ...}         never empty
//   data: {... "delta":{},"finish_reason":"stop"}     for each choice
//   data: {... "choices":[],"usage":{...}}            where it was asked for
//   data: [DONE]
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/serve/answer/answer.h"
#include "core/serve/answer/logprobs_json.h"
#include "core/serve/api_error.h"

namespace ropewalk::serve {

// Makes the bytes of an Ask's stream. Not thread-safe. What the functions return together is the
// stream.
class StreamAnswer {
 public:
  // REQUIRES: both outlive this.
  StreamAnswer(const Ask& ask, const AnswerFacts& facts);

  std::string begin();
  // REQUIRES: reply < ask.replies().
  std::string take(uint32_t reply, const Update& update);
  // REQUIRES: every reply has ended.
  std::string end();
  // In the place of end(): openai-python raises an APIError.
  static std::string fail(const ApiError& error);
  static std::string keep_alive() { return ": keep-alive\n\n"; }

  Usage usage() const;

 private:
  struct Choice {
    std::string text;  // that waits for its chunk
    std::vector<ScoredToken> scored;
    LegacyLogprobs legacy;
    uint32_t new_tokens = 0, cached_tokens = 0;
    std::string finish;
  };

  std::string chunk(uint32_t index, std::string_view said, const Json& logprobs,
                    std::string_view end) const;
  Json envelope() const;
  Json logprobs(Choice& choice) const;
  std::string text_chunk(uint32_t index);
  std::string finish_chunk(uint32_t index, const Ending& ending);
  bool is_chat() const { return ask_.endpoint == Endpoint::chat; }

  const Ask& ask_;
  const AnswerFacts& facts_;
  std::string opening_;  // of each event: an object up to its first choice
  std::vector<Choice> choices_;
};

}  // namespace ropewalk::serve
