// running.h — a request between two steps: prompt -> replying -> finished.
//
// Owns the request's samplers and its stream of text, so that many requests can share a step: each
// gives its next chunk, and the caller that runs the step hands each its logits. Not thread-safe,
// but several objects may take() their logits on different threads at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/exec/cached_text.h"
#include "core/generate/request.h"

namespace ropewalk {

// What a step added to the reply.
struct Taken {
  std::optional<int32_t> id = {};  // absent during the prompt
  std::string text = {};           // may be empty; the last one has what was held back
};

class Running {
 public:
  enum class State { prompt, replying, finished };

  // Borrows `text`, sets it to the prompt and appends the reply: a conversation keeps it for its
  // next message. A cached prefix of the prompt is not computed again. Throws Error: limit where
  // the prompt leaves no room for a token, plugin and usage for a sampler. REQUIRES: engine
  // and text outlive this.
  Running(Engine& engine, CachedText& text, const Request& request);

  State state() const;

  // What to run next, at most `max_rows` tokens. REQUIRES: not finished.
  Chunk next(uint32_t max_rows) { return text_.next(max_rows); }

  // Call it when the chunk of next() has run. Samples from the logits where the chunk ended the
  // text; otherwise they are not read. Throws Error: plugin.
  Taken take(std::span<const float> logits);

  // Ends the reply. Returns the text that was held back. REQUIRES: not finished.
  std::string cancel();

  // The reply so far. The caller that runs the steps fills in seconds, bytes and steps.
  Reply& reply() { return reply_; }

 private:
  std::string finish(Finish how);

  const uint32_t limit_;  // new tokens
  const Tokenizer& tokenizer_;
  const std::vector<int32_t>& end_ids_;
  const uint32_t sampled_vocab_;
  CachedText& text_;
  Chain chain_;
  TextStream stream_;
  Reply reply_;
  bool finished_ = false;
};

}  // namespace ropewalk
