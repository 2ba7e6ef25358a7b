#include "core/sample/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ropewalk {
namespace {

// ln softmax(logits)[id] = logits[id] - max - log_sum.
struct Softmax {
  explicit Softmax(std::span<const float> logits) {
    max = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
    log_sum = std::log(sum);
  }
  double log(float logit) const { return static_cast<double>(logit) - max - log_sum; }

  double max, log_sum;
};

}  // namespace

double log_probability(std::span<const float> logits, int32_t id) {
  return Softmax(logits).log(logits[static_cast<size_t>(id)]);
}

std::vector<IdLogprob> log_probabilities(std::span<const abi::Candidate> candidates) {
  std::vector<abi::Candidate> order(candidates.begin(), candidates.end());
  std::ranges::sort(order, abi::precedes);
  std::vector<float> logits;
  for (const abi::Candidate& candidate : order)
    if (!std::isinf(candidate.logit)) logits.push_back(candidate.logit);
  const Softmax softmax(logits);
  std::vector<IdLogprob> made;
  for (size_t i = 0; i < logits.size(); ++i) made.push_back({order[i].id, softmax.log(logits[i])});
  return made;
}

std::vector<IdLogprob> likeliest(std::span<const float> logits, uint32_t ids, uint32_t count) {
  std::vector<int32_t> order(ids);
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min(count, ids);
  std::partial_sort(order.begin(), end, order.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  });
  const Softmax softmax(logits);
  std::vector<IdLogprob> likeliest;
  for (auto id = order.begin(); id != end; ++id)
    likeliest.push_back({*id, softmax.log(logits[static_cast<size_t>(*id)])});
  return likeliest;
}

}  // namespace ropewalk
