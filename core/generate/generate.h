// generate.h — the loop: prompt ids in, text out as it is made.
//
// One call at a time on an Engine; the cancel flag may be set from a signal handler or another
// thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.h"
#include "core/exec/kv_cache.h"
#include "core/text/stream.h"

namespace ropewalk {

// A conversation's place in the cache, so that the next turn computes only what is new.
class Session {
 public:
  explicit Session(Engine& engine) : sequence_(engine.runtime().cache()) {}

  Sequence& sequence() { return sequence_; }
  // The ids that are cached, oldest first.
  const std::vector<int32_t>& ids() const { return ids_; }

  // Keeps the longest common prefix of the cached ids and `prompt`, but always leaves the last id
  // of the prompt to be run. Returns how many are kept.
  uint32_t rewind_to(std::span<const int32_t> prompt);
  void append(std::span<const int32_t> ids);
  void clear() { rewind_to({}); }

 private:
  Sequence sequence_;
  std::vector<int32_t> ids_;
};

struct GenerateRequest {
  std::vector<int32_t> prompt_ids;
  uint32_t max_new_tokens = 512;
  uint64_t seed = 0;
  std::vector<std::string> stops;
  LeadingSpace leading_space = LeadingSpace::strip;  // strip for replies, keep for completions
  const std::atomic<bool>* cancel = nullptr;         // checked between steps
  std::function<void(std::string_view)> on_text;  // whole characters, never part of a stop string
  std::function<void(uint32_t done, uint32_t total)> on_prefill;  // prompt tokens
};

enum class Finish { stop, length, cancelled };
std::string_view finish_name(Finish finish);

struct GenerateStats {
  uint32_t prompt_tokens = 0;
  uint32_t reused_tokens = 0;  // of the prompt, from the session's cache
  uint32_t new_tokens = 0;
  double prefill_seconds = 0;
  double decode_seconds = 0;  // from the first new token on
  uint64_t decode_bytes = 0;  // weights and cache read by the decode steps
  uint32_t decode_steps = 0;
};

struct Generation {
  std::vector<int32_t> ids;  // new ones only; an id that ends the reply included
  std::string text;          // all that on_text was given
  Finish finish = Finish::length;
  GenerateStats stats;
};

// Throws Error: limit where the prompt leaves no room for a token, non_finite, device_lost, plugin.
// A reply that reaches the context length ends with Finish::length.
Generation generate(Engine& engine, Session& session, const GenerateRequest& request);

}  // namespace ropewalk
