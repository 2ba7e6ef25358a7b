// request.h — what is asked of a model, and what it replied. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/sample/logprobs.h"
#include "core/text/stream.h"

namespace ropewalk {

// Which distribution a new token's log-probability is taken from. For the prompt's tokens it is
// always the model's.
enum class LogprobsOf {
  model,  // all of its logits, padding included, as transformers, vLLM and `ropewalk score` have it
  choice,  // what the samplers left of them, from which the token was drawn
};

struct LogprobsWanted {
  uint32_t top = 0;     // how many of the likeliest ids beside a token's own
  bool prompt = false;  // of the prompt's tokens too: then all of it runs, nothing is reused
  LogprobsOf of = LogprobsOf::model;
};

struct Request {
  std::vector<int32_t> prompt_ids;
  std::vector<PluginChoice> sampling = {};  // samplers in order; empty: greedy
  uint64_t seed = 0;
  uint32_t max_new_tokens = 512;
  std::vector<std::string> stops = {};
  std::vector<int32_t> stop_ids = {};  // end the reply beside the model's own end ids
  std::optional<LogprobsWanted> logprobs = {};
  std::optional<uint32_t> adapter = {};              // index; absent: as the text has it
  LeadingSpace leading_space = LeadingSpace::strip;  // strip for replies, keep for completions
};

enum class Finish { stop, length, cancelled, deadline, failed };

constexpr std::string_view finish_name(Finish finish) {
  constexpr std::string_view kNames[] = {"stop", "length", "cancelled", "deadline", "failed"};
  return kNames[static_cast<size_t>(finish)];
}

// A token of the prompt or of the reply, and how likely it was given those before it.
struct ScoredToken {
  int32_t id;
  std::optional<double> logprob = {};  // absent for the prompt's first, and where not asked for
  std::vector<IdLogprob> top = {};     // LogprobsWanted::top of them, the likeliest first
};

struct ReplyStats {
  uint32_t prompt_tokens = 0;
  uint32_t reused_tokens = 0;  // of the prompt, already cached
  uint32_t new_tokens = 0;
  double prefill_seconds = 0;
  double decode_seconds = 0;  // from the first new token on
  uint64_t decode_bytes = 0;  // weights and cache read by the decode steps
  uint32_t decode_steps = 0;
};

struct Reply {
  std::vector<int32_t> ids = {};  // new ones only; an id that ends the reply included
  std::string text = {};          // whole characters, nothing of a stop string
  Finish finish = Finish::length;
  std::optional<std::string> stop = {};  // the stop string that ended it
  std::optional<int32_t> stop_id = {};   // the id that ended it: an end id or one of stop_ids
  ReplyStats stats = {};
};

}  // namespace ropewalk
