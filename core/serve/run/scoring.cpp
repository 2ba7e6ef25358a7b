#include "core/serve/run/scoring.h"

#include <utility>

#include "core/json/json.h"
#include "core/serve/run/responses.h"

namespace ropewalk::serve {

Scoring::Scoring(std::shared_ptr<http::Reply> reply, Scheduler& scheduler,
                 const std::vector<std::vector<int32_t>>& texts, const Terms& terms,
                 const Bell& bell)
    : reply_(std::move(reply)) {
  std::vector<Request> requests;
  for (const std::vector<int32_t>& ids : texts)
    requests.push_back({.prompt_ids = ids,
                        .max_new_tokens = 0,
                        .logprobs = LogprobsWanted{.top = 0, .prompt = true}});
  Submitted submitted = scheduler.submit(requests, terms);
  if (submitted.refusal) throw refusal_error(*submitted.refusal, submitted.retry_after);
  for (std::unique_ptr<Ticket>& ticket : submitted.tickets)
    texts_.push_back({std::move(ticket), {}});
  reply_->watch({.cancelled = [bell](http::Cancel) { bell.ring(); }, .writable = {}});
  for (const Text& text : texts_) text.ticket->watch([bell] { bell.ring(); });
}

bool Scoring::turn(Clock::time_point) {
  if (const auto why = reply_->cancelled()) {
    if (*why == http::Cancel::shutdown)
      reply_->send(error_response(refusal_error(Refusal::draining, Seconds(0))));
    return true;
  }
  bool over = true;
  for (Text& text : texts_) {
    if (!text.ticket) continue;
    const Update update = text.ticket->take();
    text.tokens.insert(text.tokens.end(), update.prompt.begin(), update.prompt.end());
    if (!update.end) {
      over = false;
      continue;
    }
    text.ticket.reset();
    if (update.end->cause == EndCause::none) continue;
    reply_->send(error_response(ending_error(*update.end)));
    return true;
  }
  if (!over) return false;
  Json list = Json::array();
  for (const Text& text : texts_) list.push_back(score_json(text.tokens));
  reply_->send(json_response(list));
  return true;
}

Json score_json(const std::vector<ScoredToken>& tokens) {
  Json ids = Json::array(), logprobs = Json::array();
  double sum = 0;
  for (const ScoredToken& token : tokens) {
    ids.push_back(token.id);
    logprobs.push_back(token.logprob ? Json(*token.logprob) : Json(nullptr));
    sum += token.logprob.value_or(0);
  }
  return {{"ids", std::move(ids)},
          {"logprobs", std::move(logprobs)},
          {"nll", -sum},
          {"tokens", tokens.empty() ? 0 : tokens.size() - 1}};
}

}  // namespace ropewalk::serve
