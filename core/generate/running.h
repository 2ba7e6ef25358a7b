// running.h — a request between two steps: prompt -> replying -> finished.
//
// Owns the request's samplers and its stream of text, so that many requests can share a step: each
// gives its next chunk, and the caller that runs the step hands each its result. Not thread-safe,
// but several objects may take() their results on different threads at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/exec/cached_text.h"
#include "core/generate/request.h"
#include "core/generate/vocabulary.h"
#include "core/sample/chain.h"

namespace ropewalk {

// What a step added to the reply.
struct Taken {
  std::vector<ScoredToken> prompt = {};   // with LogprobsWanted::prompt
  std::optional<ScoredToken> token = {};  // absent during the prompt
  std::string text = {};                  // may be empty; the last one has what was held back
};

// How many new tokens the request may have where a sequence has at most `capacity` tokens. Throws
// Error: limit for a prompt that is empty, leaves no room for a token or has an id that is not the
// model's.
uint32_t checked_limit(const Vocabulary& vocabulary, uint32_t capacity, const Request& request);

class Running {
 public:
  enum class State { prompt, replying, finished };

  // Borrows `text`, sets it to the prompt and appends the reply: a conversation keeps it for its
  // next message. A cached prefix of the prompt is not computed again, unless the prompt's
  // log-probabilities are wanted. Throws Error: as checked_limit() does. REQUIRES: `chain` was made
  // from request.sampling and request.seed; text and what the vocabulary names outlive this.
  Running(const Vocabulary& vocabulary, CachedText& text, const Request& request, Chain chain);

  State state() const;
  uint32_t limit() const { return limit_; }  // how many new tokens it may have

  // What to run next, at most `max_rows` tokens. Logits are wanted for the text's last token, only
  // the largest where nothing else matters, and for every token of a prompt that is scored.
  // REQUIRES: not finished, max_rows >= 1.
  Chunk next(uint32_t max_rows);
  // Whether the next chunk wants logits for all of its rows.
  bool scores_prompt() const;

  // Call it when the chunk of next() has run. Samples a token where the chunk ended the text.
  // Throws Error: the result's, and plugin.
  Taken take(const ChunkResult& result);

  // Ends the reply. Returns the text that was held back. REQUIRES: not finished.
  std::string end(Finish how);

  // The reply so far. The caller that runs the steps fills in seconds, bytes and steps.
  Reply& reply() { return reply_; }
  const Reply& reply() const { return reply_; }

 private:
  void score_prompt(std::span<const float> logits, Taken& taken);
  ScoredToken sample(std::span<const float> logits);
  void add_to_reply(ScoredToken token, Taken& taken);
  std::span<const float> allowed(std::span<const float> logits);
  bool ends_reply(int32_t id) const;

  const Vocabulary vocabulary_;
  const uint32_t limit_;  // new tokens
  const std::optional<LogprobsWanted> logprobs_;
  const std::vector<int32_t> stop_ids_;  // the request's, and those of its stops that are tokens
  CachedText& text_;
  Chain chain_;
  const std::vector<int32_t> never_;  // ids that a greedy chain never takes, padding among them
  TextStream stream_;
  Reply reply_;
  std::vector<float> allowed_;  // logits without those of banned ids; empty where there are none
  uint32_t scored_ = 0;         // tokens of the prompt whose log-probability is known
  bool finished_ = false;
};

}  // namespace ropewalk
