// logprobs.h — log-probabilities of tokens from a row of logits: log-softmax, summed in double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/abi/candidates.h"

namespace ropewalk {

struct IdLogprob {
  int32_t id;
  double logprob;  // natural log
  bool operator==(const IdLogprob&) const = default;
};

// ln softmax(logits)[id]. REQUIRES: logits are finite, 0 <= id < logits.size().
double log_probability(std::span<const float> logits, int32_t id);

// The `count` likeliest of the first `ids` ids, the likeliest first, ties to the lower id; the same
// values as log_probability(). REQUIRES: logits are finite, ids <= logits.size().
std::vector<IdLogprob> likeliest(std::span<const float> logits, uint32_t ids, uint32_t count);

// ln softmax over the candidates alone, which may be in any order: the likeliest first, ties to the
// lower id, and none of logit -infinity. REQUIRES: a logit is finite, none is NaN or +infinity.
std::vector<IdLogprob> log_probabilities(std::span<const abi::Candidate> candidates);

}  // namespace ropewalk
