#include "core/generate/running.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace ropewalk {
namespace {

// The max number of tokens in the reply.
uint32_t checked_limit(Engine& engine, const Request& request) {
  const uint32_t context = engine.runtime().context_length();
  const uint32_t vocab = engine.runtime().executor().vocab_size();
  const size_t tokens = request.prompt_ids.size();
  if (tokens == 0) {
    throw Error(ExitCode::limit, "prompt", "it is empty, expected at least one token",
                "Give the prompt some text");
  }
  if (tokens >= context) {
    throw Error(
        ExitCode::limit, "prompt",
        fmt::format("it has {} tokens, the context holds {} and the reply needs at least one",
                    tokens, context),
        "Shorten the prompt or raise context.length");
  }
  for (const int32_t id : request.prompt_ids) {
    if (id >= 0 && static_cast<uint32_t>(id) < vocab) continue;
    throw Error(ExitCode::limit, "prompt",
                fmt::format("found token id {}, expected 0 to {}", id, vocab - 1),
                "Use ids of this model's tokenizer");
  }
  return std::min(request.max_new_tokens, context - static_cast<uint32_t>(tokens));
}

}  // namespace

Running::Running(Engine& engine, CachedText& text, const Request& request)
    : limit_(checked_limit(engine, request)),
      tokenizer_(engine.tokenizer()),
      end_ids_(engine.end_ids()),
      sampled_vocab_(engine.sampled_vocab()),
      text_(text),
      chain_(engine.make_chain(request.sampling, request.seed)),
      stream_(request.stops, request.leading_space) {
  reply_.stats.prompt_tokens = static_cast<uint32_t>(request.prompt_ids.size());
  reply_.stats.reused_tokens = text_.rewind_to(request.prompt_ids);
  finished_ = limit_ == 0;
}

Running::State Running::state() const {
  if (finished_) return State::finished;
  return reply_.ids.empty() ? State::prompt : State::replying;
}

Taken Running::take(std::span<const float> logits) {
  if (text_.pending() > 0) return {};
  const int32_t id =
      chain_.sample(logits.first(sampled_vocab_), text_.ids(), reply_.stats.prompt_tokens);
  text_.append({&id, 1});
  reply_.ids.push_back(id);
  reply_.stats.new_tokens = static_cast<uint32_t>(reply_.ids.size());

  const bool ends = std::ranges::find(end_ids_, id) != end_ids_.end();
  Taken taken{id, ends ? "" : stream_.push(tokenizer_.text_of(id))};
  reply_.text += taken.text;
  if (ends || stream_.stopped_by())
    taken.text += finish(Finish::stop);
  else if (reply_.ids.size() == limit_)
    taken.text += finish(Finish::length);
  return taken;
}

std::string Running::cancel() { return finish(Finish::cancelled); }

std::string Running::finish(Finish how) {
  finished_ = true;
  reply_.finish = how;
  const std::string held_back = stream_.finish();
  reply_.text += held_back;
  return held_back;
}

}  // namespace ropewalk
