#include "core/serve/answer/answer.h"

#include <algorithm>

#include "core/json/json.h"

namespace ropewalk::serve {

Json Usage::json() const {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", prompt_tokens + completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", cached_tokens}}}};
}

std::string_view finish_reason(const Ending& ending) {
  return ending.finish == Finish::stop ? "stop" : "length";
}

Json stop_reason(const Ending& ending, const Request& request) {
  if (ending.stop) return *ending.stop;
  const auto& ids = request.stop_ids;
  if (ending.stop_id && std::ranges::find(ids, *ending.stop_id) != ids.end())
    return *ending.stop_id;
  return nullptr;
}

Json own_member(const Ask& ask, const std::vector<std::string>& finish) {
  Json seeds = Json::array();
  for (uint32_t choice = 0; choice < ask.n; ++choice) seeds.push_back(ask.request.seed + choice);
  Json own = {{"seeds", std::move(seeds)}, {"finish", finish}, {"ignored", ask.told.ignored}};
  if (!ask.told.clipped.empty()) own["clipped"] = ask.told.clipped;
  if (!ask.told.warnings.empty()) own["warnings"] = ask.told.warnings;
  if (ask.told.dropped_messages > 0) own["dropped_messages"] = ask.told.dropped_messages;
  return own;
}

std::string echo_text(const Tokenizer& tokenizer, const Prompt& prompt) {
  return tokenizer.decode(prompt.ids);
}

}  // namespace ropewalk::serve
