// scoring.h — the log-probabilities of given tokens: what `ropewalk score` prints, for a list of
// texts.
#pragma once

#include <memory>
#include <vector>

#include "core/http/reply.h"
#include "core/schedule/scheduler.h"
#include "core/serve/guard/quotas.h"
#include "core/serve/run/writer.h"

namespace ropewalk::serve {

class Scoring final : public Job {
 public:
  // A request for each text, with LogprobsWanted::prompt and without new tokens. Throws ApiError
  // where one is refused.
  Scoring(std::shared_ptr<http::Reply> reply, Scheduler& scheduler,
          const std::vector<std::vector<int32_t>>& texts, const Terms& terms, const Bell& bell);

  bool turn(Clock::time_point now) override;
  // Holds the share of its key until it is over.
  void keep(std::unique_ptr<Quotas::Share> share) {
    share_ = std::move(share);
    if (share_) share_->admitted();
  }

 private:
  struct Text {
    std::unique_ptr<Ticket> ticket;  // empty where it has ended
    std::vector<ScoredToken> tokens;
  };

  const std::shared_ptr<http::Reply> reply_;
  std::unique_ptr<Quotas::Share> share_;
  std::vector<Text> texts_;
};

// {"ids":[...],"logprobs":[null,N,...],"nll":N,"tokens":N}, as docs/cli.md has it.
Json score_json(const std::vector<ScoredToken>& tokens);

}  // namespace ropewalk::serve
