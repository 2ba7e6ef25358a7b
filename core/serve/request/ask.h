// ask.h — a completion or chat completion as it was asked for, ready to be run and answered.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/generate/request.h"
#include "core/json/json_fwd.h"
#include "core/serve/request/served_model.h"
#include "core/serve/request/told.h"

namespace ropewalk::serve {

enum class Endpoint { completions, chat };
enum class UsageInStream { none, at_end, always };

struct Prompt {
  std::vector<int32_t> ids;
  uint32_t max_new_tokens = 0;  // the request's, within the room that the context has
};

struct Ask {
  Endpoint endpoint = Endpoint::completions;
  std::string model;  // the name that the client used, which the answer repeats
  std::vector<Prompt> prompts = {};
  uint32_t n = 1;        // choices of each prompt
  uint32_t best_of = 1;  // replies of each prompt, of which n are chosen
  bool stream = false;
  UsageInStream usage = UsageInStream::none;
  bool echo = false;
  std::optional<uint32_t> logprobs = {};  // alternatives of each token
  LogprobsOf logprobs_of = LogprobsOf::model;
  bool token_ids_for_texts = false;  // tokens in logprobs are written token_id:N
  std::string cache_salt = {};
  std::optional<std::chrono::milliseconds> deadline = {};
  // What all replies share: samplers, seed of the first one, stops. The prompt is not in it.
  Request request = {};
  Told told = {};

  uint32_t replies() const { return static_cast<uint32_t>(prompts.size()) * best_of; }
  // Reply `index`, which is index % best_of of its prompt: its seed is the first one's plus that.
  Request reply_request(uint32_t index) const;
};

enum class Strictness { tolerant, strict };

// Throw ApiError. `strictness` is what the client's header says; configuration and body may ask for
// more.
Ask read_completion(const Json& body, const ServedModel& model, Strictness strictness);
Ask read_chat(const Json& body, const ServedModel& model, Strictness strictness);

}  // namespace ropewalk::serve
