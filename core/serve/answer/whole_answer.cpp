#include "core/serve/answer/whole_answer.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/json/json.h"
#include "core/serve/answer/logprobs_json.h"

namespace ropewalk::serve {

WholeAnswer::WholeAnswer(const Ask& ask, const AnswerFacts& facts)
    : ask_(ask), facts_(facts), replies_(ask.replies()) {}

double WholeAnswer::Reply::mean_logprob() const {
  if (tokens.empty()) return -std::numeric_limits<double>::infinity();
  double sum = 0;
  for (const ScoredToken& token : tokens) sum += token.logprob.value_or(0);
  return sum / static_cast<double>(tokens.size());
}

void WholeAnswer::take(uint32_t reply, const Update& update) {
  Reply& made = replies_[reply];
  made.text += update.text;
  made.prompt.insert(made.prompt.end(), update.prompt.begin(), update.prompt.end());
  for (const NewToken& token : update.tokens) made.tokens.push_back(token.token);
  if (update.end) made.ending = *update.end;
}

// The n likeliest of each prompt's replies, in the order of their seeds.
std::vector<uint32_t> WholeAnswer::chosen() const {
  std::vector<uint32_t> all;
  for (uint32_t prompt = 0; prompt < ask_.prompts.size(); ++prompt) {
    std::vector<uint32_t> own(ask_.best_of);
    std::iota(own.begin(), own.end(), prompt * ask_.best_of);
    if (ask_.best_of > ask_.n) {
      std::ranges::stable_sort(own, std::greater<>{},
                               [this](uint32_t reply) { return replies_[reply].mean_logprob(); });
      own.resize(ask_.n);
    }
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

Json WholeAnswer::logprobs(uint32_t reply) const {
  if (!ask_.logprobs) return nullptr;
  const TokenNames names = ask_.token_ids_for_texts ? TokenNames::ids : TokenNames::texts;
  const Reply& made = replies_[reply];
  if (ask_.endpoint == Endpoint::chat) return chat_logprobs(facts_.tokenizer, made.tokens, names);
  std::vector<ScoredToken> all = made.prompt;
  all.insert(all.end(), made.tokens.begin(), made.tokens.end());
  // Behind an echoed prompt nothing is stripped, in front of the prompt its first space is.
  const LeadingSpace strip = ask_.echo ? LeadingSpace::strip : ask_.request.leading_space;
  return LegacyLogprobs(facts_.tokenizer, names, strip).take(all);
}

Json WholeAnswer::choice(uint32_t index, uint32_t reply) const {
  const Reply& made = replies_[reply];
  Json choice = {{"index", index}};
  if (ask_.endpoint == Endpoint::chat) {
    choice["message"] = {{"role", "assistant"}, {"content", made.text}, {"refusal", nullptr}};
  } else {
    const Prompt& prompt = ask_.prompts[reply / ask_.best_of];
    choice["text"] = (ask_.echo ? echo_text(facts_.tokenizer, prompt) : "") + made.text;
  }
  choice["logprobs"] = logprobs(reply);
  choice["finish_reason"] = finish_reason(made.ending);
  choice["stop_reason"] = stop_reason(made.ending, ask_.request);
  return choice;
}

Usage WholeAnswer::usage() const {
  Usage usage;
  for (uint32_t prompt = 0; prompt < ask_.prompts.size(); ++prompt) {
    usage.prompt_tokens += ask_.prompts[prompt].ids.size();
    uint64_t cached = 0;
    for (uint32_t k = 0; k < ask_.best_of; ++k) {
      const Ending& ending = replies_[prompt * ask_.best_of + k].ending;
      usage.completion_tokens += ending.new_tokens;
      // What the choices of one prompt share with each other was computed once.
      cached = k == 0 ? ending.cached_tokens : std::min<uint64_t>(cached, ending.cached_tokens);
    }
    usage.cached_tokens += cached;
  }
  return usage;
}

Json WholeAnswer::json() const {
  const bool chat = ask_.endpoint == Endpoint::chat;
  Json choices = Json::array();
  std::vector<std::string> finish;
  for (const uint32_t reply : chosen()) {
    choices.push_back(choice(static_cast<uint32_t>(choices.size()), reply));
    finish.emplace_back(finish_name(replies_[reply].ending.finish));
  }
  return {{"id", facts_.id},
          {"object", chat ? "chat.completion" : "text_completion"},
          {"created", facts_.created},
          {"model", ask_.model},
          {"system_fingerprint", facts_.fingerprint},
          {"choices", std::move(choices)},
          {"usage", usage().json()},
          {"ropewalk", own_member(ask_, finish)}};
}

}  // namespace ropewalk::serve
