// request.h — what is asked of a model, and what it replied. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/text/stream.h"

namespace ropewalk {

struct Request {
  std::vector<int32_t> prompt_ids;
  std::vector<PluginChoice> sampling = {};  // samplers in order; empty: greedy
  uint64_t seed = 0;
  uint32_t max_new_tokens = 512;
  std::vector<std::string> stops = {};
  LeadingSpace leading_space = LeadingSpace::strip;  // strip for replies, keep for completions
};

enum class Finish { stop, length, cancelled };

constexpr std::string_view finish_name(Finish finish) {
  constexpr std::string_view kNames[] = {"stop", "length", "cancelled"};
  return kNames[static_cast<size_t>(finish)];
}

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
  ReplyStats stats = {};
};

}  // namespace ropewalk
