#include "core/generate/running.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"

namespace ropewalk {
namespace {

ScoredToken score_token(int32_t id, std::span<const float> logits, uint32_t sampled_vocab,
                        uint32_t top) {
  ScoredToken token{id, log_probability(logits, id)};
  if (top > 0) token.top = likeliest(logits, sampled_vocab, top);
  return token;
}

ScoredToken score_choice(int32_t id, std::span<const abi::Candidate> choices, uint32_t top) {
  std::vector<IdLogprob> likely = log_probabilities(choices);
  ScoredToken token{id, std::ranges::find(likely, id, &IdLogprob::id)->logprob};
  likely.resize(std::min<size_t>(likely.size(), top));
  token.top = std::move(likely);
  return token;
}

// A token of the tokenizer that is not one of its pieces; nullptr: no such token.
const AddedToken* added_token(const Vocabulary& vocabulary, int32_t id) {
  return vocabulary.tokenizer ? vocabulary.tokenizer->added().find_id(id) : nullptr;
}

// Special tokens are invisible in the text, where a stop is looked for: a stop that begins with the
// name of one is found by its id.
std::vector<int32_t> stop_ids_of(const Vocabulary& vocabulary, const Request& request) {
  std::vector<int32_t> ids = request.stop_ids;
  if (!vocabulary.tokenizer) return ids;
  for (const AddedToken& token : vocabulary.tokenizer->added().all())
    for (const std::string& stop : request.stops)
      if (token.special && stop.starts_with(token.name)) ids.push_back(token.id);
  return ids;
}

std::vector<int32_t> never_taken(const Vocabulary& vocabulary, const Chain& chain) {
  std::vector<int32_t> ids(vocabulary.banned.begin(), vocabulary.banned.end());
  ids.insert(ids.end(), chain.bans().begin(), chain.bans().end());
  return ids;
}

}  // namespace

uint32_t checked_limit(const Vocabulary& vocabulary, uint32_t capacity, const Request& request) {
  const size_t tokens = request.prompt_ids.size();
  if (tokens == 0) {
    throw Error(ExitCode::limit, "prompt", "it is empty, expected at least one token",
                "Give the prompt some text");
  }
  if (tokens > capacity || (tokens == capacity && request.max_new_tokens > 0)) {
    throw Error(
        ExitCode::limit, "prompt",
        fmt::format("it has {} tokens, the context holds {} and the reply needs at least one",
                    tokens, capacity),
        "Shorten the prompt or raise context.length");
  }
  for (const int32_t id : request.prompt_ids) {
    if (id >= 0 && static_cast<uint32_t>(id) < vocabulary.rows) continue;
    if (const AddedToken* token = added_token(vocabulary, id))
      throw Error(ExitCode::usage, "prompt.format",
                  fmt::format("{} needs the token {} (id {}), for which the model of {} rows has "
                              "none",
                              vocabulary.format, printable(token->name), id, vocabulary.rows),
                  "Choose a format that the model was tuned for, or take its own tokenizer");
    throw Error(ExitCode::limit, "prompt",
                fmt::format("found token id {}, expected 0 to {}", id, vocabulary.rows - 1),
                "Use ids of this model's tokenizer");
  }
  return std::min(request.max_new_tokens, capacity - static_cast<uint32_t>(tokens));
}

Running::Running(const Vocabulary& vocabulary, CachedText& text, const Request& request,
                 Chain chain)
    : vocabulary_(vocabulary),
      limit_(checked_limit(vocabulary, text.sequence().capacity(), request)),
      logprobs_(request.logprobs),
      stop_ids_(stop_ids_of(vocabulary, request)),
      text_(text),
      chain_(std::move(chain)),
      never_(never_taken(vocabulary, chain_)),
      stream_(request.stops, request.leading_space) {
  if (request.adapter) text_.set_adapter(*request.adapter);
  reply_.stats.prompt_tokens = static_cast<uint32_t>(request.prompt_ids.size());
  if (logprobs_ && logprobs_->of == LogprobsOf::choice) chain_.keep_choices();
  if (logprobs_ && logprobs_->prompt) {
    text_.truncate(0);
    text_.append(request.prompt_ids);
  } else {
    reply_.stats.reused_tokens = text_.rewind_to(request.prompt_ids);
    scored_ = reply_.stats.prompt_tokens;
    finished_ = limit_ == 0;
  }
}

Running::State Running::state() const {
  if (finished_) return State::finished;
  return reply_.ids.empty() ? State::prompt : State::replying;
}

// The logits after token i score token i + 1. What was scored before a preemption runs again
// without being scored again.
bool Running::scores_prompt() const {
  return scored_ < reply_.stats.prompt_tokens && text_.cached() + 1 >= scored_;
}

Chunk Running::next(uint32_t max_rows) {
  if (scored_ == reply_.stats.prompt_tokens) {
    Chunk chunk = text_.next(max_rows);
    if (chunk.wanted == Wanted::last && chain_.is_greedy() && !logprobs_) {
      chunk.wanted = Wanted::largest;
      chunk.allowed = {vocabulary_.sampled, never_};
    }
    return chunk;
  }
  if (!scores_prompt()) return text_.next(std::min(max_rows, scored_ - 1 - text_.cached()));
  Chunk chunk = text_.next(max_rows);
  chunk.wanted = Wanted::all;
  return chunk;
}

Taken Running::take(const ChunkResult& result) {
  const std::span<const float> logits = result.value();
  Taken taken;
  if (scored_ < reply_.stats.prompt_tokens) score_prompt(logits, taken);
  if (text_.pending() > 0) return taken;
  if (limit_ == 0)
    taken.text = end(Finish::length);
  else if (result.largest)
    add_to_reply({*result.largest}, taken);
  else
    add_to_reply(sample(logits.last(vocabulary_.rows)), taken);
  return taken;
}

void Running::score_prompt(std::span<const float> logits, Taken& taken) {
  const std::span<const int32_t> ids = text_.ids();
  if (scored_ == 0) taken.prompt.push_back({ids[scored_++]});
  for (; !logits.empty() && scored_ < reply_.stats.prompt_tokens; ++scored_) {
    taken.prompt.push_back(score_token(ids[scored_], logits.first(vocabulary_.rows),
                                       vocabulary_.sampled, logprobs_->top));
    logits = logits.subspan(vocabulary_.rows);
  }
}

std::span<const float> Running::allowed(std::span<const float> logits) {
  if (vocabulary_.banned.empty()) return logits;
  allowed_.assign(logits.begin(), logits.end());
  for (const int32_t id : vocabulary_.banned)
    allowed_[static_cast<size_t>(id)] = std::numeric_limits<float>::lowest();
  return allowed_;
}

ScoredToken Running::sample(std::span<const float> logits) {
  const int32_t id = chain_.sample(allowed(logits.first(vocabulary_.sampled)), text_.ids(),
                                   reply_.stats.prompt_tokens);
  if (!logprobs_) return {id};
  if (logprobs_->of == LogprobsOf::choice)
    return score_choice(id, chain_.choices(), logprobs_->top);
  return score_token(id, logits, vocabulary_.sampled, logprobs_->top);
}

void Running::add_to_reply(ScoredToken token, Taken& taken) {
  const int32_t id = token.id;
  taken.token = std::move(token);
  text_.append({&id, 1});
  reply_.ids.push_back(id);
  reply_.stats.new_tokens = static_cast<uint32_t>(reply_.ids.size());

  const bool ends = ends_reply(id);
  if (!ends && vocabulary_.tokenizer) taken.text = stream_.push(vocabulary_.tokenizer->text_of(id));
  reply_.text += taken.text;
  if (ends) reply_.stop_id = id;
  if (const auto stop = stream_.stopped_by()) reply_.stop = *stop;
  if (ends || reply_.stop)
    taken.text += end(Finish::stop);
  else if (reply_.ids.size() == limit_)
    taken.text += end(Finish::length);
}

bool Running::ends_reply(int32_t id) const {
  return std::ranges::find(vocabulary_.end_ids, id) != vocabulary_.end_ids.end() ||
         std::ranges::find(stop_ids_, id) != stop_ids_.end();
}

std::string Running::end(Finish how) {
  finished_ = true;
  reply_.finish = how;
  const std::string held_back = stream_.finish();
  reply_.text += held_back;
  return held_back;
}

}  // namespace ropewalk
