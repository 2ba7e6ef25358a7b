#include "core/serve/answer/stream_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/json/json.h"
#include "core/serve/answer/json_text.h"

namespace ropewalk::serve {
namespace {

constexpr std::string_view kGoesOn = R"("finish_reason":null)";

}  // namespace

StreamAnswer::StreamAnswer(const Ask& ask, const AnswerFacts& facts)
    : ask_(ask), facts_(facts), opening_(json_text(envelope())) {
  opening_.erase(opening_.rfind("]}"));
  const TokenNames names = ask.token_ids_for_texts ? TokenNames::ids : TokenNames::texts;
  const LeadingSpace strip = ask.echo ? LeadingSpace::strip : ask.request.leading_space;
  for (uint32_t reply = 0; reply < ask.replies(); ++reply) {
    choices_.push_back({.text = {},
                        .scored = {},
                        .legacy = LegacyLogprobs(facts.tokenizer, names, strip),
                        .finish = {}});
    if (ask.echo)
      choices_.back().text = echo_text(facts.tokenizer, ask.prompts[reply / ask.best_of]);
  }
}

Json StreamAnswer::envelope() const {
  return {{"id", facts_.id},
          {"object", is_chat() ? "chat.completion.chunk" : "text_completion"},
          {"created", facts_.created},
          {"model", ask_.model},
          {"system_fingerprint", facts_.fingerprint},
          {"choices", Json::array()}};
}

// Made as text: the streams of a small model have thousands of chunks a second, and a tree of JSON
// for each takes several times as long. `said` and `end` are the choice's members before and behind
// its log-probabilities.
std::string StreamAnswer::chunk(uint32_t index, std::string_view said, const Json& logprobs,
                                std::string_view end) const {
  std::string bytes = "data: " + opening_ + R"({"index":)" + std::to_string(index) + ',';
  bytes += said;
  bytes += R"(,"logprobs":)";
  bytes += logprobs.is_null() ? "null" : json_text(logprobs);
  bytes += ',';
  bytes += end;
  bytes += "}]";
  if (ask_.usage == UsageInStream::at_end) bytes += R"(,"usage":null)";
  if (ask_.usage == UsageInStream::always) bytes += R"(,"usage":)" + json_text(usage().json());
  return bytes + "}\n\n";
}

Json StreamAnswer::logprobs(Choice& choice) const {
  const std::vector<ScoredToken> scored = std::exchange(choice.scored, {});
  if (!ask_.logprobs || scored.empty()) return nullptr;
  if (!is_chat()) return choice.legacy.take(scored);
  Json made = chat_logprobs(facts_.tokenizer, scored,
                            ask_.token_ids_for_texts ? TokenNames::ids : TokenNames::texts);
  return made["content"].empty() ? Json(nullptr) : made;
}

std::string StreamAnswer::begin() {
  std::string bytes = ": ropewalk\n\n";
  if (!is_chat()) return bytes;
  for (uint32_t index = 0; index < choices_.size(); ++index)
    bytes += chunk(index, R"("delta":{"role":"assistant","content":""})", nullptr, kGoesOn);
  return bytes;
}

std::string StreamAnswer::text_chunk(uint32_t index) {
  Choice& choice = choices_[index];
  const std::string text = json_string(std::exchange(choice.text, {}));
  const std::string said = is_chat() ? R"("delta":{"content":)" + text + '}' : R"("text":)" + text;
  return chunk(index, said, logprobs(choice), kGoesOn);
}

std::string StreamAnswer::finish_chunk(uint32_t index, const Ending& ending) {
  const std::string end =
      fmt::format(R"("finish_reason":"{}","stop_reason":{})", finish_reason(ending),
                  json_text(stop_reason(ending, ask_.request)));
  const std::string_view said = is_chat() ? R"("delta":{})" : R"("text":"")";
  return chunk(index, said, logprobs(choices_[index]), end);
}

std::string StreamAnswer::take(uint32_t reply, const Update& update) {
  Choice& choice = choices_[reply];
  choice.text += update.text;
  choice.scored.insert(choice.scored.end(), update.prompt.begin(), update.prompt.end());
  if (ask_.logprobs)
    for (const NewToken& token : update.tokens) choice.scored.push_back(token.token);
  choice.new_tokens += static_cast<uint32_t>(update.tokens.size());
  if (update.end) choice.cached_tokens = update.end->cached_tokens;
  // An echoed prompt goes with the first token, when its log-probabilities are known.
  const bool prompt_only = update.tokens.empty() && update.text.empty() && !update.end;
  std::string bytes;
  if (!choice.text.empty() && !prompt_only) bytes += text_chunk(reply);
  if (update.end) {
    choice.finish = finish_name(update.end->finish);
    bytes += finish_chunk(reply, *update.end);
  }
  return bytes;
}

Usage StreamAnswer::usage() const {
  Usage usage;
  for (const Prompt& prompt : ask_.prompts) usage.prompt_tokens += prompt.ids.size();
  for (uint32_t reply = 0; reply < choices_.size(); ++reply) {
    usage.completion_tokens += choices_[reply].new_tokens;
    if (reply % ask_.best_of == 0) usage.cached_tokens += choices_[reply].cached_tokens;
  }
  return usage;
}

std::string StreamAnswer::end() {
  std::string bytes;
  if (ask_.usage != UsageInStream::none) {
    Json made = envelope();
    made["usage"] = usage().json();
    std::vector<std::string> finish;
    for (const Choice& choice : choices_) finish.push_back(choice.finish);
    made["ropewalk"] = own_member(ask_, finish);
    bytes += event(made);
  }
  return bytes + "data: [DONE]\n\n";
}

std::string StreamAnswer::fail(const ApiError& error) {
  return event(error.json()) + "data: [DONE]\n\n";
}

}  // namespace ropewalk::serve
