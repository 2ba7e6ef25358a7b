// job.h — a request on its way through the scheduler. Made by the thread that submits it; from then
// on the scheduler's thread alone touches it, but for the outbox.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/exec/cached_text.h"
#include "core/generate/running.h"
#include "core/schedule/outbox.h"
#include "core/schedule/settings.h"

namespace ropewalk {

struct Job {
  // Throws Error: as Running does. It takes no page.
  Job(KvCache& cache, const RopeTables& rope, const Vocabulary& vocabulary, const Request& request,
      Chain chain)
      : max_new_tokens(request.max_new_tokens),
        scores_prompt(request.logprobs && request.logprobs->prompt),
        text(cache, rope),
        running(vocabulary, text, request, std::move(chain)) {}

  const uint32_t max_new_tokens;
  const bool scores_prompt;
  CachedText text;
  Running running;
  Terms terms = {};
  std::shared_ptr<Outbox> outbox = {};

  uint64_t number = 0;  // in the order of arrival
  Time submitted = {};
  std::optional<Time> first_run = {}, first_token = {}, last_token = {};
  std::optional<Time> resting_since = {};  // its reader is slow
  uint32_t known_pages = 0;                // in the prefix cache
  uint32_t cached_tokens = 0;              // of the prompt, found there
  uint32_t preemptions = 0;

  uint32_t adapter() const { return text.sequence().adapter(); }
  // What prefixes are shared under: keys and values belong to their adapter.
  std::string prefix_salt() const { return std::to_string(adapter()) + ":" + terms.cache_salt; }
  uint32_t prompt_tokens() const { return running.reply().stats.prompt_tokens; }
  // The most tokens that it caches; the last one of a reply is not.
  uint32_t full_length() const { return prompt_tokens() + running.limit(); }
  bool finished() const { return running.state() == Running::State::finished; }

  // Pages that it lacks to have `tokens` tokens in all.
  uint32_t missing_pages(uint32_t tokens) const {
    return text.sequence().missing_pages(tokens - std::min(tokens, text.cached()));
  }
};

}  // namespace ropewalk
