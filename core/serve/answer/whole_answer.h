// whole_answer.h — an answer that is not streamed.
#pragma once

#include <string>
#include <vector>

#include "core/serve/answer/answer.h"

namespace ropewalk::serve {

// Collects what the replies of an Ask say. Not thread-safe.
class WholeAnswer {
 public:
  // REQUIRES: both outlive this.
  WholeAnswer(const Ask& ask, const AnswerFacts& facts);

  // REQUIRES: reply < ask.replies().
  void take(uint32_t reply, const Update& update);
  // REQUIRES: every reply has ended, with Finish::stop, ::length or ::deadline.
  Json json() const;
  Usage usage() const;

 private:
  struct Reply {
    std::string text;
    std::vector<ScoredToken> prompt, tokens;
    Ending ending;

    double mean_logprob() const;
  };

  std::vector<uint32_t> chosen() const;
  Json choice(uint32_t index, uint32_t reply) const;
  Json logprobs(uint32_t reply) const;

  const Ask& ask_;
  const AnswerFacts& facts_;
  std::vector<Reply> replies_;
};

}  // namespace ropewalk::serve
